// Addresses of what lies beside a playlist, and how to get past a CDN that keeps old ones. Pure.

/** `auto`: where the store is known to need it. */
export type CacheBusting = 'auto' | 'on' | 'off';

/** Where players begin; also that of a single rendition. */
const PLAYLIST = /\/(multivariant|stream(_\d)?)\.m3u8$/;
/** A part never changes, but it is asked for before it is there. */
const CHANGES = /(\.(m3u8|json|jpg)|\/part_[^/]*\.m4s)$/;
/** A signature over the whole query: another query would break it. */
const SEALED = /[?&](x-amz-signature|x-goog-signature|signature|sig|token)=/i;
/** The agent signs a stream's folder: what opens the playlist opens its neighbours, too. */
const OF_THE_FOLDER = ['expires', 'signature'];

/**
 * Supabase's CDN may keep an overwritten object for a minute; another query is another object to it. A query that
 * is signed stays as it is.
 */
export function pastCdn(url: string, nowMs: number, busting: CacheBusting = 'auto'): string {
  const { hostname, pathname, search } = new URL(url);
  const isKnown = /(^|\.)supabase\.co$/.test(hostname) && pathname.includes('/object/public/');
  const isWanted = busting === 'on' || (busting === 'auto' && isKnown);
  if (!isWanted || !CHANGES.test(pathname) || SEALED.test(search)) return url;
  const [address = url] = url.split('#');
  const kept = address.replace(/([?&])t=\d+(&|$)/, (_all, before, after) => (after ? before : ''));
  return `${kept}${kept.includes('?') ? '&' : '?'}t=${nowMs}`;
}

/** `null` for what is no agent's playlist. */
function neighbour(playlistUrl: string, name: string): string | null {
  const playlist = new URL(playlistUrl);
  if (!PLAYLIST.test(playlist.pathname)) return null;
  const url = new URL(name, playlist);
  for (const key of OF_THE_FOLDER) {
    const value = playlist.searchParams.get(key);
    if (value !== null && OF_THE_FOLDER.every((other) => playlist.searchParams.has(other)))
      url.searchParams.set(key, value);
  }
  return url.href;
}

export function sheetUrl(playlistUrl: string): string | null {
  return neighbour(playlistUrl, 'status.json');
}

export function snapshotUrl(playlistUrl: string): string | null {
  return neighbour(playlistUrl, 'snapshot.jpg');
}

/** What opens an address, or gets past a CDN: with others it is the same place. */
const OPENS = /^(expires|signature|token|sig|t|policy|key-pair-id|x-amz-.*|x-goog-.*)$/i;

/** Without what may be signed anew. */
export function placeOf(address: string): string {
  const url = new URL(address);
  for (const key of [...url.searchParams.keys()]) if (OPENS.test(key)) url.searchParams.delete(key);
  url.hash = '';
  // Written alike, whether something was taken out or not.
  url.search = url.searchParams.toString();
  return url.href;
}

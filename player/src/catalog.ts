// Which cameras there are and which one to play. Pure but for `fetchCameras`.

export interface Camera {
  id: string;
  name: string;
  playlistUrl: string;
}

/** The page's own address: `?src=URL` plays that playlist, `?camera=ID` picks one of the server's cameras. */
export interface PageQuery {
  src: string | null;
  camera: string | null;
  name: string | null;
  /** `live`: a wall of streams, also of cameras with still pictures. */
  wall: string | null;
  /** How many of them at a time. */
  playing: string | null;
}

export function readQuery(search: string): PageQuery {
  const query = new URLSearchParams(search);
  const [src, camera, name] = [query.get('src'), query.get('camera'), query.get('name')];
  return { src, camera, name, wall: query.get('wall'), playing: query.get('playing') };
}

/** `?src=` as a camera; `null` for what is no http(s) address. */
export function cameraFromSource(src: string, name: string | null, base: string): Camera | null {
  let url: URL;
  try {
    url = new URL(src, base);
  } catch {
    return null;
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return null;
  return { id: '', name: name || nameOfPlaylist(url), playlistUrl: url.href };
}

/** The camera's folder, as in `…/location_1/cam_floor/stream.m3u8`. */
function nameOfPlaylist(url: URL): string {
  const folder = url.pathname.split('/').filter(Boolean).at(-2);
  if (!folder) return url.host;
  try {
    return decodeURIComponent(folder);
  } catch {
    return folder;
  }
}

/** The answer of `api/cameras.json`. An entry that can't be played is left out. */
export function parseCameras(json: unknown, base: string): Camera[] {
  if (!Array.isArray(json)) throw new Error('the list of cameras is not a list');
  return json.flatMap((entry: unknown) => {
    if (typeof entry !== 'object' || entry === null) return [];
    const { id, name, playlist_url: url } = entry as Record<string, unknown>;
    if (typeof id !== 'string' || typeof url !== 'string') return [];
    const camera = cameraFromSource(url, typeof name === 'string' && name ? name : id, base);
    return camera ? [{ ...camera, id }] : [];
  });
}

const PATIENCE_MS = 10_000;

/** `AbortSignal.timeout` is too young for some browsers. */
async function patiently<T>(ask: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  const timer = setTimeout(() => abort.abort(), PATIENCE_MS);
  try {
    return await ask(abort.signal);
  } finally {
    clearTimeout(timer);
  }
}

/** The server wants its token again. */
export class NotAllowed extends Error {}

/** `null`: this page has no server behind it that knows cameras (it lies in a bucket, say). */
export function fetchCameras(base: string): Promise<Camera[] | null> {
  return patiently(async (signal) => {
    const response = await fetch(new URL('api/cameras.json', base), { cache: 'no-store', signal });
    if (response.status === 404) return null;
    if (response.status === 401) throw new NotAllowed();
    if (!response.ok) throw new Error(`the list of cameras answered ${response.status}`);
    return parseCameras(await response.json(), base);
  });
}

/** Of a playlist: whoever asks is not known, or no more. */
export function isRefused(url: string): Promise<boolean> {
  const refused = async (signal: AbortSignal) => {
    const { status } = await fetch(url, { cache: 'no-store', signal });
    return status === 401 || status === 403;
  };
  return patiently(refused).catch(() => false);
}

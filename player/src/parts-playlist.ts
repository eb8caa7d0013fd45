// What a playlist tells a player that fetches parts by their names. Pure, and all that knows how parts are written down:
// as low-latency HLS does (EXT-X-PART), with a number at the end of each part's name that counts on by one.

import { median } from './median.ts';

export interface ListedPart {
  number: number;
  durationS: number;
  /** It begins with a keyframe. */
  independent: boolean;
  /** Wall clock of its first frame. */
  startMs: number | null;
}

/** Of the newest run alone: an older one's parts can't be gone on with. */
export interface Parts {
  /** Another run has another one, and an init object of its own. */
  run: string;
  initUrl: string;
  /** The first one that the playlist does not name. */
  next: number;
  /** How long one lasts, mostly: PART-TARGET is as long as the longest. */
  partS: number;
  listed: readonly ListedPart[];
  url(number: number): string;
}

export interface PartsPlaylist {
  /** `null`: there are to be some, but none is named at the moment. */
  parts: Parts | null;
  /** Number of the segment behind the newest one. */
  nextSegment: number;
  /** Wall clock of the newest segment's end. */
  newestMs: number | null;
  isEnded: boolean;
}

interface Named {
  part: ListedPart;
  name: Name;
}

interface Name {
  before: string;
  number: number;
  digits: number;
  /** With what opens it, if that is the folder's. */
  after: string;
}

/** A signature of one object opens no other. */
const SEALED = /[?&](x-amz-signature|x-goog-signature|sig|token)=/i;

/** `null`: no playlist of a stream in parts. */
export function readPartsPlaylist(text: string, playlistUrl: string): PartsPlaylist | null {
  if (!/^#EXTM3U/.test(text) || !/^#EXT-X-PART-INF:/m.test(text)) return null;
  const longestS = Number(attribute(lineOf(text, '#EXT-X-PART-INF:'), 'PART-TARGET'));
  if (!(longestS > 0 && longestS < 10)) return null;
  const seen = walk(text, playlistUrl);
  const isEnded = /^#EXT-X-ENDLIST/m.test(text);
  const { nextSegment, newestMs } = seen;
  return { parts: partsOf(seen, longestS), nextSegment, newestMs, isEnded };
}

interface Walk {
  named: Named[];
  hint: Name | null;
  initUrl: string | null;
  nextSegment: number;
  newestMs: number | null;
}

function walk(text: string, playlistUrl: string): Walk {
  const first = Number(lineOf(text, '#EXT-X-MEDIA-SEQUENCE:') || 0);
  const seen: Walk = { named: [], hint: null, initUrl: null, nextSegment: first, newestMs: null };
  let segmentMs: number | null = null;
  let partMs: number | null = null;
  let segmentS = 0;
  for (const line of text.split(/\r?\n/)) {
    const value = line.slice(line.indexOf(':') + 1);
    if (line.startsWith('#EXT-X-PROGRAM-DATE-TIME:')) {
      const ms = Date.parse(value);
      segmentMs = partMs = Number.isNaN(ms) ? null : ms;
    } else if (line.startsWith('#EXT-X-MAP:')) {
      seen.initUrl = resolved(attribute(value, 'URI'), playlistUrl);
    } else if (line.startsWith('#EXT-X-PART:')) {
      const durationS = Number(attribute(value, 'DURATION'));
      const name = nameOf(attribute(value, 'URI'), playlistUrl);
      // A part of an object, or one that is known to be lost, is none to go on from.
      const isWhole = attribute(value, 'BYTERANGE') === '' && attribute(value, 'GAP') !== 'YES';
      if (name && isWhole && durationS > 0) {
        const independent = attribute(value, 'INDEPENDENT') === 'YES';
        seen.named.push({ name, part: { number: name.number, durationS, independent, startMs: partMs } });
      }
      if (partMs !== null && durationS > 0) partMs += durationS * 1000;
    } else if (line.startsWith('#EXT-X-PRELOAD-HINT:') && attribute(value, 'TYPE') === 'PART') {
      seen.hint = nameOf(attribute(value, 'URI'), playlistUrl);
    } else if (line.startsWith('#EXTINF:')) {
      segmentS = Number.parseFloat(value) || 0;
    } else if (line !== '' && !line.startsWith('#')) {
      seen.nextSegment += 1;
      if (segmentMs !== null) segmentMs += segmentS * 1000;
      partMs = segmentMs;
      seen.newestMs = segmentMs;
    }
  }
  return seen;
}

function partsOf({ named, hint, initUrl }: Walk, longestS: number): Parts | null {
  const last = named.at(-1)?.name;
  const model = hint ?? last;
  if (!model || !initUrl) return null;
  const { before, after } = model;
  const run = before;
  const ofRun = named.filter(({ name }) => name.before === run);
  const listed = ofRun.map(({ part }) => part);
  // The shortest tells how far names are filled up: 999999 comes before 1000000.
  const digits = Math.min(model.digits, ...ofRun.map(({ name }) => name.digits));
  const partS = median(listed.map(({ durationS }) => durationS)) ?? longestS;
  const newest = listed.at(-1)?.number ?? -1;
  // What is hinted at is not there yet; a playlist without a hint ends with its last part.
  const next = Math.max(hint ? hint.number : 0, newest + 1);
  const url = (number: number) => `${before}${String(number).padStart(digits, '0')}${after}`;
  return { run, initUrl, next, partS, listed, url };
}

/** The number is the last one in the name; `null` where the next name can't be known. */
function nameOf(uri: string, playlistUrl: string): Name | null {
  const address = resolved(uri, playlistUrl);
  if (!address || SEALED.test(address)) return null;
  const [, before, digits, after] = /^([^?#]*?)(\d{1,15})(\.[a-z0-9]+(?:\?[^#]*)?)$/i.exec(address) ?? [];
  if (before === undefined || digits === undefined || after === undefined) return null;
  return { before, number: Number(digits), digits: digits.length, after };
}

function resolved(uri: string, base: string): string | null {
  if (!uri) return null;
  try {
    return new URL(uri, base).href;
  } catch {
    return null;
  }
}

/** What is behind the tag in its first line. */
function lineOf(text: string, tag: string): string {
  const at = text.startsWith(tag) ? 0 : text.indexOf(`\n${tag}`) + 1;
  return at > 0 ? (text.slice(at + tag.length).split(/\r?\n/, 1)[0] ?? '') : '';
}

/** Without its quotes; empty: it is not there. */
function attribute(line: string, name: string): string {
  for (const [, key, value = ''] of line.matchAll(/([A-Z0-9-]+)=("[^"]*"|[^,]*)/g)) {
    if (key === name) return value.replace(/^"|"$/g, '');
  }
  return '';
}

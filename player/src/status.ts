// What the viewer is told. Pure.
import { namesOf } from './codecs.ts';
import type { Engine } from './engine.ts';

export type StatusKind =
  | 'waiting'
  | 'live'
  | 'behind'
  | 'reconnecting'
  | 'offline'
  | 'unplayable'
  | 'paused'
  | 'ended';

export interface Status {
  kind: StatusKind;
  label: string;
}

export interface Observation {
  nowMs: number;
  /** A frame has been on screen since this camera was chosen, or could be. */
  everPlayed: boolean;
  /** By the viewer, or nobody began it. */
  paused: boolean;
  ended: boolean;
  /** What this browser can't decode of it. */
  cantPlay: string | null;
  /** Seconds since the picture last moved. */
  idleFor: number;
  /** Seconds behind the point where playback should be; `null` if unknown. */
  behind: number | null;
  /** Seconds that it was asked for something new, and had nothing. */
  silentFor: number;
  byParts: boolean;
  segmentS: number;
  /** Wall clock of the newest picture there is; `null`: never seen one. */
  newestMs: number | null;
  /** The playlist tells of it. Where the agent alone does, the stream may be coming up. */
  isListed: boolean;
}

/** A shorter pause is a hiccup that needs no words. */
export const FROZEN_AFTER_S = 2;
/** Below this the distance is the normal play of buffer and playlist. */
const BEHIND_AFTER_S = 3;
/** By parts that is a sixth of it. */
const BEHIND_BY_PARTS_S = 1;
/** A camera that restarts takes less. */
const OFFLINE_AFTER_S = 20;
/** The newest picture of a stream that goes on is no older than this. */
const OLD_S = 60;

export function statusOf(seen: Observation): Status {
  if (seen.ended) return { kind: 'ended', label: 'ended' };
  // Its silence is the player's own: it asks for nothing that can't be shown.
  if (seen.cantPlay !== null) return { kind: 'unplayable', label: unplayable(seen.cantPlay) };
  const since = offlineSince(seen);
  if (since !== null) return { kind: 'offline', label: `offline since ${clockTime(since, seen.nowMs)}` };
  if (!seen.everPlayed) return { kind: 'waiting', label: 'waiting for the stream' };
  if (seen.paused) return { kind: 'paused', label: 'paused' };
  if (seen.idleFor >= FROZEN_AFTER_S) return { kind: 'reconnecting', label: 'reconnecting' };
  const mostS = seen.byParts ? BEHIND_BY_PARTS_S : BEHIND_AFTER_S;
  if (seen.behind !== null && seen.behind >= mostS) {
    return { kind: 'behind', label: `behind by ${duration(seen.behind)}` };
  }
  return { kind: 'live', label: 'live' };
}

function unplayable(codecs: string): string {
  const names = namesOf(codecs);
  return `this browser can't play this video${names ? ` (${names})` : ''}`;
}

/**
 * Since when there is no new picture, once that is no hiccup. A clock alone proves nothing, as the viewer's or the
 * box's may be wrong: the playlist has to be silent, too.
 */
function offlineSince({ nowMs, newestMs, isListed, silentFor, segmentS }: Observation): number | null {
  if (newestMs === null) return null;
  const isOld = isListed && nowMs - newestMs > OLD_S * 1000;
  const patience = isOld ? 1 + 1.5 * segmentS : Math.max(OFFLINE_AFTER_S, 5 * segmentS);
  return silentFor > patience ? newestMs : null;
}

/** `14:32`, with the day if it was another. */
export function clockTime(atMs: number, nowMs: number): string {
  const [at, now] = [new Date(atMs), new Date(nowMs)];
  const time = `${two(at.getHours())}:${two(at.getMinutes())}`;
  if (at.toDateString() === now.toDateString()) return time;
  const day = `${two(at.getDate())} ${MONTHS[at.getMonth()]}`;
  return at.getFullYear() === now.getFullYear() ? `${day}, ${time}` : `${day} ${at.getFullYear()}, ${time}`;
}

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

function two(value: number): string {
  return String(value).padStart(2, '0');
}

export interface Latencies {
  /** From the playlist's live edge to the picture. */
  fromEdge: number | null;
  /** Where playback aims to be, from the same edge. */
  target: number | null;
  /** From the camera's wall clock (program date time) to the picture. */
  fromLens: number | null;
}

export function latenciesOf(
  engine: Engine | null,
  { nowMs, wallMs, currentTime }: { nowMs: number; wallMs: number; currentTime: number },
  segmentS: number,
  floorS: number,
): Latencies {
  const edge = engine?.edge ?? null;
  if (!engine || edge === null) return { fromEdge: null, target: null, fromLens: null };
  const age = Number.isFinite(engine.newsAtMs) ? (nowMs - engine.newsAtMs) / 1000 : 0;
  // The edge moves on between two segments; when none comes any more, it stays.
  const endS = edge + (engine.lagS ?? 0) + Math.min(age, 2 * segmentS);
  const fromEdge = Math.max(0, endS - currentTime);
  const target = engine.isLed ? 1.5 * segmentS + floorS : null;
  const pictureTime = engine.pictureTimeMs;
  const fromLens = pictureTime === null ? null : (wallMs + engine.skewMs - pictureTime) / 1000;
  return { fromEdge, target, fromLens };
}

/** The edge is usually some seconds behind the lens (a segment and its upload); more than this is an old stream. */
const STALE_EDGE_S = 15;

export function secondsBehind({ fromEdge, target, fromLens }: Latencies): number | null {
  if (fromEdge === null || target === null) return null;
  const stale = fromLens !== null && fromLens - fromEdge > STALE_EDGE_S;
  return Math.max(0, (stale ? fromLens : fromEdge) - target);
}

/** What to show as the delay: the lens tells more than the edge, unless a clock is wrong. */
export function shownLatency({ fromEdge, fromLens }: Latencies): number | null {
  return fromLens !== null && fromLens >= 0 ? fromLens : fromEdge;
}

/** Of a clock that goes a little ahead, too. */
export function agoText(ms: number): string {
  return ms < 5000 ? 'just now' : `${duration(ms / 1000)} ago`;
}

export function duration(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 36 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

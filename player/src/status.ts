// What the viewer is told. Pure.

export type StatusKind = 'waiting' | 'live' | 'behind' | 'reconnecting' | 'paused' | 'ended';

export interface Status {
  kind: StatusKind;
  label: string;
}

export interface Observation {
  /** A frame has been on screen since this camera was chosen. */
  everPlayed: boolean;
  /** The viewer pressed pause. */
  paused: boolean;
  ended: boolean;
  /** Seconds since the picture last moved. */
  idleFor: number;
  /** Seconds behind the point where playback should be; `null` if unknown. */
  behind: number | null;
}

/** A shorter pause is a hiccup that needs no words. */
export const FROZEN_AFTER_S = 2;
/** Below this the distance is the normal play of buffer and playlist. */
export const BEHIND_AFTER_S = 3;

export function statusOf(seen: Observation): Status {
  if (seen.ended) return { kind: 'ended', label: 'ended' };
  if (!seen.everPlayed) return { kind: 'waiting', label: 'waiting for the stream' };
  if (seen.paused) return { kind: 'paused', label: 'paused' };
  if (seen.idleFor >= FROZEN_AFTER_S) return { kind: 'reconnecting', label: 'reconnecting' };
  if (seen.behind !== null && seen.behind >= BEHIND_AFTER_S) {
    return { kind: 'behind', label: `behind by ${duration(seen.behind)}` };
  }
  return { kind: 'live', label: 'live' };
}

export interface Latencies {
  /** From the playlist's live edge to the picture, as hls.js sees it. */
  fromEdge: number | null;
  /** Where playback aims to be, from the same edge. */
  target: number | null;
  /** From the camera's wall clock (program date time) to the picture. */
  fromLens: number | null;
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

export function duration(seconds: number): string {
  if (seconds < 90) return `${Math.round(seconds)} s`;
  if (seconds < 90 * 60) return `${Math.round(seconds / 60)} min`;
  if (seconds < 36 * 3600) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86400)} days`;
}

// What the agent says of a stream for its players, in `status.json` beside the playlist. Pure but for `fetchSheet`.
import { type Pace, USUAL_PACE } from './live-edge.ts';
import { isMissing } from './store.ts';

export interface Sheet {
  /** Segments behind the edge to begin at. */
  syncSegments: number;
  pace: Pace;
  /** The store's CDN keeps old playlists, so each request needs another query. */
  cacheBusting: boolean;
  /** There are parts to be fetched by their names. */
  parts: boolean;
  /** `false`: there is nothing else. */
  wholeSegments: boolean;
  /** As the agent sees the camera; an agent without these does not say. */
  phase: string | null;
  reason: string | null;
  lastSegmentMs: number | null;
}

/** Of a newer one nothing is believed. */
const VERSION = 1;
const PATIENCE_MS = 10_000;
/** What every profile's reserve is at least: one to play, one that comes. */
const LEAST_SYNC = 2;

/** `null`: it can't be used, so the player's own settings stay. */
export function parseSheet(json: unknown): Sheet | null {
  const sheet = record(json);
  const player = record(sheet?.player);
  if (sheet?.version !== VERSION || !player) return null;
  const syncSegments = within(player.live_sync_duration_count, 1, 10);
  const audibleRate = within(player.max_live_sync_playback_rate, 1, 2);
  if (syncSegments === null || audibleRate === null) return null;
  const segmentMs = within(sheet.segment_duration_ms, 100, 60_000);
  const targetS = within(sheet.target_duration_s, 1, 60);
  const segmentS = segmentMs === null ? (targetS ?? USUAL_PACE.segmentS) : segmentMs / 1000;
  const reserveS = Math.max(0, syncSegments - LEAST_SYNC) * segmentS;
  return {
    syncSegments,
    pace: { segmentS, reserveS, audibleRate },
    cacheBusting: player.cache_busting === true,
    parts: record(sheet.parts) !== null,
    wholeSegments: record(sheet.parts)?.whole_segments !== false,
    phase: text(sheet.phase),
    reason: text(sheet.reason),
    lastSegmentMs: time(sheet.last_segment_at),
  };
}

function record(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
}

function within(value: unknown, least: number, most: number): number | null {
  return typeof value === 'number' && value >= least && value <= most ? value : null;
}

function text(value: unknown): string | null {
  return typeof value === 'string' && value !== '' ? value.slice(0, 200) : null;
}

function time(value: unknown): number | null {
  const ms = typeof value === 'string' ? Date.parse(value) : Number.NaN;
  return Number.isNaN(ms) ? null : ms;
}

export type SheetAnswer =
  | { is: 'there'; sheet: Sheet }
  /** Nobody says, or nothing that can be used. */
  | { is: 'none' }
  /** Nobody answers, or not as one who knows. */
  | { is: 'failed' };

export async function fetchSheet(url: string | null, signal?: AbortSignal): Promise<SheetAnswer> {
  if (!url) return { is: 'none' };
  // AbortSignal.any is too young for some browsers.
  const abort = new AbortController();
  const stop = () => abort.abort();
  const timer = setTimeout(stop, PATIENCE_MS);
  signal?.addEventListener('abort', stop);
  try {
    const response = await fetch(url, { cache: 'no-store', signal: abort.signal });
    if (!response.ok) return { is: isMissing(response.status) ? 'none' : 'failed' };
    return read(await response.text());
  } catch {
    return { is: 'failed' };
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener('abort', stop);
  }
}

function read(words: string): SheetAnswer {
  try {
    const sheet = parseSheet(JSON.parse(words));
    return sheet ? { is: 'there', sheet } : { is: 'none' };
  } catch {
    return { is: 'none' };
  }
}

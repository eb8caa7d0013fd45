// What the agent says of a stream for its players, in `status.json` beside the playlist. Pure but for `fetchSettings`.
import { pastCdn } from './hls-config.ts';

/** Those of hls.js that depend on the stream. `lowLatencyMode` is not among them: without it, it never catches up. */
export interface PlayerSettings {
  liveSyncDurationCount: number;
  liveMaxLatencyDurationCount: number;
  maxLiveSyncPlaybackRate: number;
}

/** Of a newer one nothing is believed. */
const VERSION = 1;
const PATIENCE_MS = 10_000;

/** `null`: it can't be used, so the player's own settings stay. */
export function parseSheet(json: unknown): PlayerSettings | null {
  const sheet = record(json);
  const player = record(sheet?.player);
  if (sheet?.version !== VERSION || !player) return null;
  const sync = within(player.live_sync_duration_count, 1, 10);
  // hls.js jumps all the time where a stall can bring playback that far behind.
  const most = within(player.live_max_latency_duration_count, (sync ?? 0) + 2, 100);
  const rate = within(player.max_live_sync_playback_rate, 1, 2);
  if (sync === null || most === null || rate === null) return null;
  return {
    liveSyncDurationCount: sync,
    liveMaxLatencyDurationCount: most,
    maxLiveSyncPlaybackRate: rate,
  };
}

function record(value: unknown): Record<string, unknown> | null {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : null;
}

function within(value: unknown, least: number, most: number): number | null {
  return typeof value === 'number' && value >= least && value <= most ? value : null;
}

/** Where players begin; also that of a single rendition. */
const PLAYLIST = /\/(multivariant|stream(_\d)?)\.m3u8$/;

/** `null` for what is no agent's playlist; a query (a signature, say) is of the playlist alone. */
export function sheetUrl(playlistUrl: string, nowMs: number): string | null {
  const url = new URL(playlistUrl);
  return PLAYLIST.test(url.pathname) ? pastCdn(new URL('status.json', url).href, nowMs) : null;
}

/** `null`: nobody says, or nobody answers. */
export async function fetchSettings(playlistUrl: string): Promise<PlayerSettings | null> {
  const url = sheetUrl(playlistUrl, Date.now());
  if (!url) return null;
  try {
    const response = await fetch(url, { cache: 'no-store', signal: AbortSignal.timeout(PATIENCE_MS) });
    return response.ok ? parseSheet(await response.json()) : null;
  } catch {
    return null;
  }
}

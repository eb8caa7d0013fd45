// How hls.js plays a live stream out of plain object storage. Pure.
import type { HlsConfig, LoaderConfig, RetryConfig } from 'hls.js/light';

/** A fragment that is missing for longer has left the window; then the playlist decides where to go on. */
const FRAGMENT_TRIES = 5;

/**
 * hls.js takes 4xx as final. Here it is not: a playlist may not be there *yet*, a replaced object may be
 * absent for a moment, and Supabase answers 400 for what is missing.
 */
function retry(tries: number, retryDelayMs: number, maxRetryDelayMs: number): RetryConfig {
  return {
    maxNumRetry: tries,
    retryDelayMs,
    maxRetryDelayMs,
    shouldRetry: (_config, retryCount) => retryCount < tries,
  };
}

function loadPolicy(tries: number, firstByteMs: number, wholeMs: number): { default: LoaderConfig } {
  return {
    default: {
      maxTimeToFirstByteMs: firstByteMs,
      maxLoadTimeMs: wholeMs,
      timeoutRetry: retry(tries, 250, 2000),
      errorRetry: retry(tries, 500, 2000),
    },
  };
}

/**
 * Supabase's CDN may keep an overwritten object for a minute; another query is another object to it.
 * Only there: a query more would break a presigned URL.
 */
export function pastCdn(url: string, nowMs: number): string {
  const parsed = new URL(url);
  const cached = /(^|\.)supabase\.co$/.test(parsed.hostname) && parsed.pathname.includes('/object/public/');
  if (!cached || !/\.(m3u8|json)$/.test(parsed.pathname)) return url;
  parsed.searchParams.set('t', String(nowMs));
  return parsed.href;
}

export function hlsConfig(workerPath: string, now: () => number): Partial<HlsConfig> {
  return {
    workerPath,
    // The agent's word on the stream takes the place of these (sheet.ts). Two segments behind the edge: one to play, one in reserve. Stalls widen it, up to one more.
    liveSyncDurationCount: 2,
    liveSyncOnStallIncrease: 1,
    liveMaxLatencyDurationCount: 8,
    // Gently: 4 % is not seen, and heard only in music.
    maxLiveSyncPlaybackRate: 1.04,
    // Of several renditions none that is larger than what is seen of it: a wall of tiles would pay for pixels that nobody sees.
    capLevelToPlayerSize: true,
    // A page may be open for months.
    backBufferLength: 20,
    maxBufferLength: 20,
    maxBufferSize: 30_000_000,
    manifestLoadPolicy: loadPolicy(Number.POSITIVE_INFINITY, 10_000, 20_000),
    playlistLoadPolicy: loadPolicy(Number.POSITIVE_INFINITY, 10_000, 20_000),
    fragLoadPolicy: loadPolicy(FRAGMENT_TRIES, 10_000, 60_000),
    xhrSetup: (xhr, url) => {
      const fresh = pastCdn(url, now());
      if (fresh !== url) xhr.open('GET', fresh, true);
    },
  };
}

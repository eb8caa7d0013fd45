// How hls.js plays a live stream out of plain object storage. Pure.
import type { HlsConfig, LoaderConfig, RetryConfig } from 'hls.js/light';

const FRAGMENT_TRIES = 5;
/** Without an answer for so long a request is given up. */
export const FIRST_BYTE_MS = 10_000;
/** Whoever lists a fragment has stored it. One that is missing for longer than this is lost: playback goes on behind it. */
const MISSING_TRIES = 3;
/** Stays ahead of what the longest usual segments need (sheet.ts): three of 6 s, and one that comes. */
const MAX_BUFFER_S = 30;

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

function isMissing(status: number | undefined): boolean {
  return status !== undefined && status >= 400 && status < 500;
}

function fragmentRetry(): RetryConfig {
  return {
    ...retry(FRAGMENT_TRIES, 200, 2000),
    shouldRetry: (_config, retryCount, _isTimeout, answer) =>
      retryCount < (isMissing(answer?.code) ? MISSING_TRIES : FRAGMENT_TRIES),
  };
}

function loadPolicy(tries: number, firstByteMs: number, wholeMs: number): { default: LoaderConfig } {
  return {
    default: {
      maxTimeToFirstByteMs: firstByteMs,
      maxLoadTimeMs: wholeMs,
      timeoutRetry: retry(tries, 250, 2000),
      errorRetry: retry(tries, 250, 2000),
    },
  };
}

/** `fresh`: an address as it has to be asked for now; `sent` hears of each request. */
export function hlsConfig(
  workerPath: string | null,
  fresh: (url: string) => string,
  sent: (request: XMLHttpRequest) => void,
): Partial<HlsConfig> {
  const fragments = loadPolicy(FRAGMENT_TRIES, FIRST_BYTE_MS, 60_000).default;
  return {
    ...(workerPath ? { workerPath } : {}),
    // Where to begin; the agent's word on the stream takes its place (sheet.ts). From there on live-edge.ts leads:
    // hls.js only comes back when playback has left the playlist.
    liveSyncDurationCount: 2,
    liveSyncOnStallIncrease: 0,
    lowLatencyMode: false,
    maxLiveSyncPlaybackRate: 1,
    // Of several renditions none that is larger than what is seen of it: a wall of tiles would pay for pixels that nobody sees.
    capLevelToPlayerSize: true,
    // A page may be open for months.
    backBufferLength: 20,
    maxBufferLength: MAX_BUFFER_S,
    maxMaxBufferLength: MAX_BUFFER_S,
    maxBufferSize: 30_000_000,
    manifestLoadPolicy: loadPolicy(Number.POSITIVE_INFINITY, FIRST_BYTE_MS, 20_000),
    playlistLoadPolicy: loadPolicy(Number.POSITIVE_INFINITY, FIRST_BYTE_MS, 20_000),
    fragLoadPolicy: { default: { ...fragments, errorRetry: fragmentRetry() } },
    xhrSetup: (xhr, url) => {
      sent(xhr);
      const address = fresh(url);
      if (address !== url) xhr.open('GET', address, true);
    },
  };
}

// What brings a playlist into a <video>: hls.js, or the browser's own HLS where there is no MediaSource.
import Hls, { ErrorTypes, Events, type LevelDetails } from 'hls.js/light';
import { clockSkewMs } from './clock.ts';
import { hlsConfig } from './hls-config.ts';
import { Backoff } from './recovery.ts';
import { fetchSettings } from './sheet.ts';

export interface Engine {
  /** Seconds from the playlist's live edge to the picture. */
  readonly fromEdge: number | null;
  readonly target: number | null;
  /** Wall clock (ms) of the picture, from the playlist's program date time. */
  readonly pictureTimeMs: number | null;
  /** What to add to this device's clock. */
  readonly skewMs: number;
  readonly lastError: string | null;
  readonly ended: boolean;
  /** When the playlist last answered, and when it last named a new segment (`performance.now()`). */
  readonly answeredAtMs: number;
  readonly newsAtMs: number;
  goLive(): void;
  /** The network is back: ask now, not after the delay. */
  wake(): void;
  destroy(): void;
}

export type OpenEngine = (video: HTMLVideoElement, url: string) => Engine;

const RETRY_FIRST_MS = 1000;
const RETRY_MAX_MS = 8000;
/** A second media error within this time is not mended by the same medicine. */
const MEDIA_RECOVERY_MS = 10_000;

/** `null`: this browser can't play HLS at all. */
export function chooseEngine(workerPath: string): OpenEngine | null {
  if (Hls.isSupported()) return (video, url) => new HlsJsEngine(video, url, workerPath);
  const native = document.createElement('video').canPlayType('application/vnd.apple.mpegurl');
  return native ? (video, url) => new NativeEngine(video, url) : null;
}

class HlsJsEngine implements Engine {
  skewMs = 0;
  lastError: string | null = null;
  answeredAtMs = Number.NEGATIVE_INFINITY;
  newsAtMs = Number.NEGATIVE_INFINITY;
  private newestNumber: number | undefined;
  private readonly hls: Hls;
  private readonly backoff = new Backoff(RETRY_FIRST_MS, RETRY_MAX_MS);
  private retryTimer: number | undefined;
  private mediaRecoveredAt = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly url: string,
    workerPath: string,
  ) {
    this.hls = new Hls(hlsConfig(workerPath, Date.now));
    this.hls.on(Events.ERROR, (_event, error) => {
      const status = error.response?.code;
      this.lastError = status ? `${error.details} (HTTP ${status})` : error.details;
      if (error.fatal) this.recover(error.type);
    });
    this.hls.on(Events.LEVEL_LOADED, (_event, { details, networkDetails }) => {
      this.readPlaylist(details);
      this.readClock(networkDetails);
    });
    // The first picture does not wait for it, and before there is a playlist there is nothing to ask for.
    this.hls.once(Events.LEVEL_LOADED, () => void this.adoptSettings());
    this.hls.on(Events.FRAG_BUFFERED, () => {
      this.lastError = null;
      this.backoff.reset();
    });
    this.hls.loadSource(url);
    this.hls.attachMedia(video);
  }

  get fromEdge(): number | null {
    return this.hls.latestLevelDetails ? this.hls.latency : null;
  }

  get target(): number | null {
    return this.hls.targetLatency;
  }

  get pictureTimeMs(): number | null {
    return this.hls.playingDate?.getTime() ?? null;
  }

  get ended(): boolean {
    return this.video.ended && this.hls.latestLevelDetails?.live === false;
  }

  goLive(): void {
    const position = this.hls.liveSyncPosition;
    if (position !== null) this.video.currentTime = position;
  }

  wake(): void {
    this.backoff.reset();
    this.restartLoading();
  }

  destroy(): void {
    window.clearTimeout(this.retryTimer);
    this.hls.destroy();
  }

  /** hls.js looks at them whenever it needs them. */
  private async adoptSettings(): Promise<void> {
    Object.assign(this.hls.config, await fetchSettings(this.url));
  }

  private recover(type: ErrorTypes): void {
    const now = performance.now();
    if (type === ErrorTypes.MEDIA_ERROR && now - this.mediaRecoveredAt > MEDIA_RECOVERY_MS) {
      this.mediaRecoveredAt = now;
      this.hls.recoverMediaError();
      return;
    }
    window.clearTimeout(this.retryTimer);
    this.retryTimer = window.setTimeout(() => this.restartLoading(), this.backoff.next());
  }

  private restartLoading(): void {
    window.clearTimeout(this.retryTimer);
    // With a playlist at hand the picture stays on screen meanwhile.
    if (this.hls.latestLevelDetails) this.hls.startLoad();
    else this.hls.loadSource(this.url);
  }

  private readPlaylist(details: LevelDetails): void {
    this.answeredAtMs = performance.now();
    // By its number: another rendition's has another name.
    if (details.endSN !== this.newestNumber) this.newsAtMs = this.answeredAtMs;
    this.newestNumber = details.endSN;
  }

  private readClock(networkDetails: unknown): void {
    if (networkDetails instanceof XMLHttpRequest) {
      this.skewMs = clockSkewMs(networkDetails.getAllResponseHeaders(), Date.now());
    }
  }
}

/** Safari without MediaSource (iPhones before iOS 17.1). */
class NativeEngine implements Engine {
  readonly skewMs = 0;
  // Safari does not tell.
  readonly answeredAtMs = Number.NEGATIVE_INFINITY;
  readonly newsAtMs = Number.NEGATIVE_INFINITY;
  lastError: string | null = null;
  private readonly backoff = new Backoff(RETRY_FIRST_MS, RETRY_MAX_MS);
  private retryTimer: number | undefined;
  private readonly listeners = new AbortController();

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly url: string,
  ) {
    const { signal } = this.listeners;
    video.addEventListener('error', () => this.onError(), { signal });
    video.addEventListener('playing', () => this.onPlaying(), { signal });
    this.load();
  }

  get fromEdge(): number | null {
    const { seekable, currentTime } = this.video;
    return seekable.length ? Math.max(0, seekable.end(seekable.length - 1) - currentTime) : null;
  }

  /** Safari keeps its own distance and does not tell it. */
  get target(): number | null {
    return null;
  }

  get pictureTimeMs(): number | null {
    const start = (this.video as HTMLVideoElement & { getStartDate?: () => Date }).getStartDate?.().getTime();
    return start === undefined || Number.isNaN(start) ? null : start + this.video.currentTime * 1000;
  }

  get ended(): boolean {
    return this.video.ended;
  }

  goLive(): void {
    const { seekable } = this.video;
    if (seekable.length) this.video.currentTime = seekable.end(seekable.length - 1);
  }

  wake(): void {
    this.backoff.reset();
    if (this.video.error) this.load();
  }

  destroy(): void {
    this.listeners.abort();
    window.clearTimeout(this.retryTimer);
    this.video.removeAttribute('src');
    this.video.load();
  }

  private onError(): void {
    this.lastError = this.video.error?.message || 'the browser could not play the stream';
    window.clearTimeout(this.retryTimer);
    this.retryTimer = window.setTimeout(() => this.load(), this.backoff.next());
  }

  private onPlaying(): void {
    this.lastError = null;
    this.backoff.reset();
  }

  private load(): void {
    window.clearTimeout(this.retryTimer);
    this.video.src = this.url;
    this.video.load();
  }
}

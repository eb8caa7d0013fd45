// The browser's own HLS: Safari without MediaSource (iPhones before iOS 17.1), or where hls.js can't decode the stream.
import { type Engine, RETRY_FIRST_MS, RETRY_MAX_MS, type Source } from './engine.ts';
import { Backoff } from './recovery.ts';

export class NativeEngine implements Engine {
  readonly skewMs = 0;
  // Safari does not tell.
  readonly answeredAtMs = Number.NEGATIVE_INFINITY;
  readonly newsAtMs = Number.NEGATIVE_INFINITY;
  readonly segmentS = null;
  readonly requests = 0;
  readonly failedRequests = 0;
  readonly requestsInVain = 0;
  readonly partsLost = null;
  readonly breaks = 0;
  readonly bitrateKbps = null;
  /** Safari keeps its own distance and does not tell it. */
  readonly isLed = false;
  readonly isUnfit = false;
  // Its errors do not tell codecs from other faults.
  readonly cantDecode = null;
  lastError: string | null = null;
  private readonly backoff = new Backoff(RETRY_FIRST_MS, RETRY_MAX_MS);
  private retryTimer: ReturnType<typeof setTimeout> | undefined;
  private readonly listeners = new AbortController();

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly source: Source,
  ) {
    const { signal } = this.listeners;
    video.addEventListener('error', () => this.onError(), { signal });
    video.addEventListener('playing', () => this.onPlaying(), { signal });
    this.load();
  }

  get edge(): number | null {
    const { seekable } = this.video;
    return seekable.length ? seekable.end(seekable.length - 1) : null;
  }

  get livePosition(): number | null {
    return this.edge;
  }

  get pictureTimeMs(): number | null {
    const start = this.startMs();
    return start === null ? null : start + this.video.currentTime * 1000;
  }

  get newestTimeMs(): number | null {
    const [start, edge] = [this.startMs(), this.edge];
    return start === null || edge === null ? null : start + edge * 1000;
  }

  /** What it asks for while the video stands is not known. */
  get isIdle(): boolean {
    const { paused, readyState } = this.video;
    return paused && readyState >= HTMLMediaElement.HAVE_METADATA;
  }

  get ended(): boolean {
    return this.video.ended;
  }

  adopt(): void {}

  /** Only without a source is nothing asked for. */
  rest(): void {
    clearTimeout(this.retryTimer);
    this.video.removeAttribute('src');
    this.video.load();
  }

  wake(): void {
    this.backoff.reset();
    if (this.video.error || !this.video.hasAttribute('src')) this.load();
  }

  destroy(): void {
    this.listeners.abort();
    clearTimeout(this.retryTimer);
    this.video.removeAttribute('src');
    this.video.load();
  }

  private startMs(): number | null {
    const start = (this.video as HTMLVideoElement & { getStartDate?: () => Date }).getStartDate?.().getTime();
    return start === undefined || Number.isNaN(start) ? null : start;
  }

  private onError(): void {
    this.lastError = this.video.error?.message || 'the browser could not play the stream';
    clearTimeout(this.retryTimer);
    this.retryTimer = setTimeout(() => this.load(), this.backoff.next());
  }

  private onPlaying(): void {
    this.lastError = null;
    this.backoff.reset();
  }

  private load(): void {
    clearTimeout(this.retryTimer);
    const { video } = this;
    video.src = this.source.fresh(this.source.url);
    video.load();
    // iPhones load no more than the beginning before that.
    this.source.playOn();
  }
}

// hls.js: playlists and segments over HTTP into a MediaSource.
import Hls, { ErrorDetails, ErrorTypes, Events, type HlsListeners, type LevelDetails } from 'hls.js/light';
import { Bitrate } from './bitrate.ts';
import { Cadence } from './cadence.ts';
import { clockSkewMs } from './clock.ts';
import { lacksDecoder, refusedOf, videoOf } from './codecs.ts';
import { type Engine, RETRY_FIRST_MS, RETRY_MAX_MS, type Source } from './engine.ts';
import { FIRST_BYTE_MS, hlsConfig } from './hls-config.ts';
import { isTaken } from './media-source.ts';
import { cadencedLoader, type LoaderBase } from './playlist-loader.ts';
import { Backoff } from './recovery.ts';
import type { Sheet } from './sheet.ts';

type HlsError = Parameters<HlsListeners[Events.ERROR]>[1];

/** A second media error within this time is not mended by the same medicine. */
const MEDIA_RECOVERY_MS = 10_000;
/** Of the newest segments, for the bit rate. */
const MEASURED_SEGMENTS = 10;
/** Playlists with something new, and nothing of it was asked for. */
const MOST_UNASKED = 3;
/** What no second try helps: this browser can't decode it. */
const UNFIT: readonly ErrorDetails[] = [
  ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR,
  ErrorDetails.BUFFER_ADD_CODEC_ERROR,
  ErrorDetails.BUFFER_INCOMPATIBLE_CODECS_ERROR,
];

export class HlsJsEngine implements Engine {
  readonly isLed = true;
  skewMs = 0;
  lastError: string | null = null;
  isUnfit = false;
  cantDecode: string | null = null;
  /** It reads the playlist also while there is enough, or the video stands. */
  readonly isIdle = false;
  answeredAtMs = Number.NEGATIVE_INFINITY;
  newsAtMs = Number.NEGATIVE_INFINITY;
  requests = 0;
  failedRequests = 0;
  readonly requestsInVain = 0;
  readonly partsLost = null;
  readonly breaks = 0;
  private newestNumber: number | undefined;
  /** As its playlists have it. */
  private codecs = '';
  /** As its segments have it. */
  private videoCodec = '';
  private readonly listeners = new AbortController();
  private readonly bitrate = new Bitrate(MEASURED_SEGMENTS);
  private readonly hls: Hls;
  private readonly backoff = new Backoff(RETRY_FIRST_MS, RETRY_MAX_MS);
  private retryTimer: ReturnType<typeof setTimeout> | undefined;
  private mediaRecoveredAt = Number.NEGATIVE_INFINITY;
  private unasked = 0;
  private isFetching = false;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly source: Source,
  ) {
    this.hls = new Hls({
      ...hlsConfig(source.workerPath, source.fresh, (request) => this.count(request)),
      pLoader: cadencedLoader(Hls.DefaultConfig.loader as LoaderBase, new Cadence(), (beganMs) =>
        this.handsOn(beganMs),
      ),
    });
    this.listen();
    this.hls.loadSource(source.url);
    this.hls.attachMedia(video);
  }

  get edge(): number | null {
    return this.hls.latestLevelDetails?.edge ?? null;
  }

  get livePosition(): number | null {
    return this.hls.liveSyncPosition;
  }

  get segmentS(): number | null {
    const fragments = this.hls.latestLevelDetails?.fragments;
    return fragments?.length ? Math.max(...fragments.map(({ duration }) => duration)) : null;
  }

  get pictureTimeMs(): number | null {
    return this.hls.playingDate?.getTime() ?? null;
  }

  get newestTimeMs(): number | null {
    const newest = this.hls.latestLevelDetails?.fragments.at(-1);
    const startMs = newest?.programDateTime;
    return newest && startMs !== null && startMs !== undefined ? startMs + newest.duration * 1000 : null;
  }

  get ended(): boolean {
    return this.video.ended && this.hls.latestLevelDetails?.live === false;
  }

  get bitrateKbps(): number | null {
    return this.bitrate.kbps;
  }

  /** hls.js looks at its configuration whenever it needs it. */
  adopt(sheet: Sheet): void {
    this.hls.config.liveSyncDurationCount = sheet.syncSegments;
  }

  rest(): void {
    clearTimeout(this.retryTimer);
    this.hls.stopLoad();
  }

  wake(): void {
    this.isUnfit = false;
    this.cantDecode = null;
    this.backoff.reset();
    this.restartLoading();
  }

  destroy(): void {
    this.listeners.abort();
    clearTimeout(this.retryTimer);
    this.hls.destroy();
  }

  private listen(): void {
    const { hls, video } = this;
    const { signal } = this.listeners;
    video.addEventListener('error', () => this.onVideoError(video.error?.message ?? ''), { signal });
    hls.on(Events.BUFFER_CODECS, (_event, { video, audiovideo }) => {
      this.videoCodec = videoOf(video?.codec ?? audiovideo?.codec ?? '');
    });
    hls.on(Events.ERROR, (_event, error) => this.onError(error));
    hls.on(Events.MANIFEST_LOADED, (_event, { levels }) => {
      this.codecs = levels.map(({ attrs }) => attrs.CODECS ?? '').join(',');
    });
    hls.on(Events.LEVEL_LOADED, (_event, { details, networkDetails }) => {
      this.readPlaylist(details);
      this.readClock(networkDetails);
    });
    hls.on(Events.FRAG_LOADING, () => {
      this.isFetching = true;
    });
    hls.on(Events.FRAG_LOADED, (_event, { frag }) => {
      this.isFetching = false;
      this.bitrate.add(frag.stats.loaded, frag.duration);
    });
    hls.on(Events.FRAG_BUFFERED, () => {
      if (this.cantDecode === null) this.lastError = null;
      this.backoff.reset();
    });
  }

  /** hls.js counts from there when to ask again, as it takes it over into the next playlist's details. */
  private handsOn(beganMs: number): void {
    const details = this.hls.latestLevelDetails;
    if (details) details.requestScheduled = beganMs;
  }

  /** hls.js tries again by itself and tells of the last failure only. */
  private count(request: XMLHttpRequest): void {
    this.requests += 1;
    const sentMs = performance.now();
    const failed = () => {
      this.failedRequests += 1;
    };
    request.addEventListener('error', failed, { once: true });
    // What takes too long it gives up like what it needs no more.
    const isLate = () => performance.now() - sentMs > 0.95 * FIRST_BYTE_MS;
    request.addEventListener('abort', () => isLate() && failed(), { once: true });
    request.addEventListener('load', () => request.status >= 400 && failed(), { once: true });
  }

  private onError(error: HlsError): void {
    if (error.frag) this.isFetching = false;
    const status = error.response?.code;
    this.lastError = status ? `${error.details} (HTTP ${status})` : error.details;
    // It answers, and names nothing (yet, or any more).
    if (error.details === ErrorDetails.LEVEL_EMPTY_ERROR) this.answeredAtMs = performance.now();
    if (!error.fatal || this.cantDecode !== null) return;
    if (UNFIT.includes(error.details)) this.isUnfit = true;
    if (this.isUnfit && this.isRefused(error)) return;
    // It is lost: what comes after it need not be.
    if (error.details === ErrorDetails.FRAG_LOAD_ERROR && error.frag && status) {
      error.frag.gap = true;
      this.backoff.reset();
      this.restartLater(0);
    } else this.recover(error.type);
  }

  /** What this browser has no decoder for is not asked for again here: that is for whoever opened this. */
  private isRefused({ mimeType, details }: HlsError): boolean {
    const isOfAll = details === ErrorDetails.MANIFEST_INCOMPATIBLE_CODECS_ERROR;
    if (!isOfAll && (mimeType === undefined || isTaken(mimeType))) return false;
    this.refuse(refusedOf(isOfAll ? this.codecs : (mimeType ?? ''), isTaken));
    return true;
  }

  /** MediaSource took what there turns out to be no decoder for. */
  private onVideoError(words: string): void {
    if (!lacksDecoder(words)) return;
    this.isUnfit = true;
    this.refuse(this.videoCodec);
  }

  private refuse(codecs: string): void {
    this.cantDecode = codecs;
    this.lastError = `this browser can't play ${codecs || 'its codecs'}`;
    clearTimeout(this.retryTimer);
    this.hls.stopLoad();
  }

  private recover(type: ErrorTypes): void {
    const now = performance.now();
    if (type === ErrorTypes.MEDIA_ERROR && now - this.mediaRecoveredAt > MEDIA_RECOVERY_MS) {
      this.mediaRecoveredAt = now;
      const { media } = this.hls;
      const isPlaying = media !== null && !media.paused;
      this.hls.recoverMediaError();
      // The new pipeline begins paused.
      if (isPlaying) media.play().catch(() => {});
      return;
    }
    this.restartLater(this.backoff.next());
  }

  private restartLater(delayMs: number): void {
    clearTimeout(this.retryTimer);
    this.retryTimer = setTimeout(() => this.restartLoading(), delayMs);
  }

  private restartLoading(): void {
    clearTimeout(this.retryTimer);
    // With a playlist at hand the picture stays on screen meanwhile.
    if (this.hls.latestLevelDetails) this.hls.startLoad();
    else this.hls.loadSource(this.source.url);
  }

  private readPlaylist(details: LevelDetails): void {
    this.answeredAtMs = performance.now();
    // By its number: another rendition's has another name.
    if (details.endSN !== this.newestNumber) {
      this.newsAtMs = this.answeredAtMs;
      this.nudge(details);
    }
    this.newestNumber = details.endSN;
  }

  /** Behind an outage hls.js may read on and ask for no segment: it is told where to begin. */
  private nudge({ live, targetduration }: LevelDetails): void {
    const { buffered, currentTime, paused } = this.video;
    const endS = buffered.length ? buffered.end(buffered.length - 1) : currentTime;
    // What is on its way may take long.
    const isWell = this.isFetching || endS - currentTime > targetduration;
    this.unasked = !live || paused || isWell ? 0 : this.unasked + 1;
    if (this.unasked < MOST_UNASKED) return;
    this.unasked = 0;
    this.hls.startLoad(this.hls.liveSyncPosition ?? -1);
  }

  private readClock(networkDetails: unknown): void {
    if (networkDetails instanceof XMLHttpRequest) {
      this.skewMs = clockSkewMs(networkDetails.getAllResponseHeaders(), Date.now());
    }
  }
}

// One stream in one <video>: opens it, keeps it at the live edge, watches the picture, opens it again when it stays still.
import { type CacheBusting, pastCdn, sheetUrl } from './addresses.ts';
import { capabilities, type Engine, type Engines } from './engine.ts';
import { FrameCounter } from './frames.ts';
import { LiveEdge, type Pace, USUAL_PACE } from './live-edge.ts';
import { type Protocol, selectProtocol } from './protocol.ts';
import { sourceIsSilent, Watchdog } from './recovery.ts';
import { Quality, type Report, type Thresholds } from './report.ts';
import { fetchSheet, type Sheet } from './sheet.ts';
import { ranges, type Stats, statsOf } from './stats.ts';
import { type Latencies, type Status, secondsBehind, shownLatency, statusOf } from './status.ts';

const SAMPLE_MS = 500;
/** Short segments are a tenth of a second apart from a stall: looks are more often than that. */
const STEER_MS = 50;
/** While there is no picture, the agent's word is asked for again. */
const SHEET_AGAIN_MS = 15_000;

export interface Options {
  engines: Engines;
  workerPath: string | null;
  /** Beside the playlist unless it is told. */
  statusUrl: string | null;
  cacheBusting: CacheBusting;
  /** As whoever knows the cameras has the address now; `undefined`: no other. */
  findAgain: (url: string) => Promise<string | undefined>;
}

export class Player {
  private engine: Engine | null = null;
  private chain: Protocol[] = [];
  private sheet: Sheet | null = null;
  private sheetAskedMs = Number.NEGATIVE_INFINITY;
  private watchdog = new Watchdog(performance.now());
  private live = new LiveEdge();
  private quality = new Quality(performance.now());
  private readonly frames: FrameCounter;
  private readonly life = new AbortController();
  private readonly timers: ReturnType<typeof setInterval>[];
  private openedMs = performance.now();
  private newestMs: number | null = null;
  private everPlayed = false;
  /** Since its pipeline was opened last. */
  private playing = false;
  private starved = false;
  private pausedByViewer = false;
  private stalls = 0;
  private reopened = 0;
  private jumps = 0;
  private lastMark = '';
  private movedAt = performance.now();
  private status: Status = { kind: 'waiting', label: 'waiting for the stream' };

  constructor(
    private readonly video: HTMLVideoElement,
    private url: string,
    private readonly options: Options,
    private readonly onChange: (stats: Stats) => void,
  ) {
    this.frames = new FrameCounter(video);
    const { signal } = this.life;
    video.addEventListener('waiting', () => this.onWaiting(), { signal });
    window.addEventListener('online', () => this.engine?.wake(), { signal });
    document.addEventListener('visibilitychange', () => this.onVisibility(), { signal });
    this.timers = [setInterval(() => this.sample(), SAMPLE_MS), setInterval(() => this.steer(), STEER_MS)];
    this.choose();
    this.start();
    this.sample();
  }

  destroy(): void {
    this.life.abort();
    this.timers.forEach(clearInterval);
    this.frames.stop();
    this.engine?.destroy();
    this.engine = null;
    this.video.playbackRate = 1;
  }

  /** Some engine of this build fits this browser. */
  get canPlay(): boolean {
    return this.chain.length > 0;
  }

  /** Of a stream that ended: perhaps it goes on. */
  goLive(): void {
    if (this.status.kind === 'ended') this.start();
    else this.toLive();
    this.play();
  }

  /** Autoplay of a muted video is allowed nearly everywhere; where not, the controls are there. */
  play(): void {
    this.video.play().catch(() => undefined);
  }

  stats(): Stats {
    const { engine, live } = this;
    const latencies = this.latencies();
    return statsOf(this.video, {
      playlistUrl: this.url,
      protocol: this.chain[0] ?? null,
      state: this.status.kind,
      label: this.status.label,
      framesPresented: this.frames.count,
      latency: shownLatency(latencies),
      latencies,
      floor: engine?.isLed ? live.floorS : null,
      bitrateKbps: engine?.bitrateKbps ?? null,
      requests: engine?.requests ?? 0,
      failedRequests: engine?.failedRequests ?? 0,
      stalls: this.stalls,
      jumps: this.jumps,
      reopened: this.reopened,
      lastError: engine?.lastError ?? null,
      reason: this.isMoving(performance.now()) ? null : this.reason(),
    });
  }

  /** In the agent's words, as of the last time that the picture stood still. */
  private reason(): string | null {
    const { reason = null, phase = null } = this.sheet ?? {};
    return reason ?? (phase === 'stopped' ? 'the agent was stopped' : null);
  }

  report(limits: Thresholds): Report {
    const { requests = 0, failedRequests = 0 } = this.engine ?? {};
    const counts = { src: this.url, state: this.status.kind, stalls: this.stalls, requests, failedRequests };
    return this.quality.report(performance.now(), limits, counts);
  }

  /** Best first; where one can't play it, the next one's turn comes. */
  private choose(): void {
    this.chain = selectProtocol(capabilities(this.options.engines), {
      playlist: true,
      parts: false,
      webRtc: false,
    });
  }

  private start(): void {
    this.engine?.destroy();
    this.playing = false;
    this.starved = false;
    this.lastMark = this.mark();
    this.movedAt = performance.now();
    this.live = new LiveEdge(this.pace());
    const [protocol] = this.chain;
    const open = protocol && this.options.engines[protocol];
    const fresh = (url: string) => pastCdn(url, Date.now(), this.busting());
    const source = { url: this.url, fresh, workerPath: this.options.workerPath };
    this.engine = open ? open(this.video, source) : null;
    if (this.sheet) this.engine?.adopt(this.sheet);
    if (this.video.autoplay || this.everPlayed) this.play();
  }

  private busting(): CacheBusting {
    const { cacheBusting } = this.options;
    return cacheBusting === 'auto' && this.sheet?.cacheBusting ? 'on' : cacheBusting;
  }

  private fallBack(): void {
    if (!this.engine?.isUnfit || this.chain.length < 2) return;
    this.chain.shift();
    this.start();
  }

  /** The first picture does not wait for it, and before there is a playlist there is nothing to ask for. */
  private async readSheet(now: number): Promise<void> {
    const { engine } = this;
    const isWanted = this.sheet === null ? this.sheetAskedMs === Number.NEGATIVE_INFINITY : false;
    const isAgain = now - this.sheetAskedMs >= SHEET_AGAIN_MS && !this.isMoving(now);
    if (!engine || engine.answeredAtMs === Number.NEGATIVE_INFINITY || !(isWanted || isAgain)) return;
    this.sheetAskedMs = now;
    const url = this.options.statusUrl ?? sheetUrl(this.url);
    const sheet = await fetchSheet(url && pastCdn(url, Date.now(), this.busting()), this.life.signal);
    if (!sheet || this.life.signal.aborted) return;
    this.sheet = sheet;
    this.engine?.adopt(sheet);
  }

  /** A camera that has other renditions now may have another playlist. */
  private async follow(): Promise<void> {
    const { url } = this;
    const found = await this.options.findAgain(url);
    if (!found || found === url || this.url !== url || this.life.signal.aborted) return;
    this.url = found;
    this.start();
  }

  /** Differs as soon as the picture moved. A hidden page draws no frames, but its time goes on. */
  private mark(): string {
    return document.hidden ? `time ${this.video.currentTime}` : `frame ${this.frames.count}`;
  }

  private steer(): void {
    const { engine, video } = this;
    if (!engine?.isLed || this.isOver()) return;
    const move = this.live.look({
      nowMs: performance.now(),
      currentTime: video.currentTime,
      buffered: ranges(video.buffered),
      playing: !video.paused && !video.seeking && video.readyState >= HTMLMediaElement.HAVE_METADATA,
      audible: !video.muted && video.volume > 0,
    });
    if (move.seek) {
      video.currentTime = move.seek.to;
      this.jumps += 1;
    }
    if (video.playbackRate !== move.rate) video.playbackRate = move.rate;
  }

  /** The playlist knows better than the sheet how long segments are. */
  private pace(): Pace {
    const pace = this.sheet?.pace ?? USUAL_PACE;
    return { ...pace, segmentS: this.engine?.segmentS ?? pace.segmentS };
  }

  private isOver(): boolean {
    return this.status.kind === 'ended' || this.video.ended;
  }

  private toLive(): void {
    const { engine, video } = this;
    const position = engine?.livePosition ?? null;
    const end = ranges(video.buffered).at(-1)?.[1];
    const { segmentS } = this.pace();
    const isStale = end === undefined || (engine?.edge ?? end) - end > 1.5 * segmentS;
    if (position !== null && (isStale || !engine?.isLed)) video.currentTime = position;
    this.live.returned();
  }

  private sample(): void {
    const now = performance.now();
    const moved = this.observeMove(now);
    const ended = this.engine?.ended ?? false;
    const paused = this.playing && this.video.paused;
    if (!document.hidden) this.pausedByViewer = paused;
    const isSilent = this.sourceIsSilent(now);
    const excused = document.hidden || ended || paused;
    if (this.watchdog.shouldReopen(now, moved || excused || isSilent)) {
      this.reopened += 1;
      this.start();
      void this.follow();
    }
    this.fallBack();
    this.live.paceIs(this.pace());
    void this.readSheet(now);
    this.status = this.judge(now, paused, ended);
    const latency = shownLatency(this.latencies());
    this.quality.look(now, { moving: moved || this.isMoving(now), excused, latency });
    this.onChange(this.stats());
  }

  private judge(now: number, paused: boolean, ended: boolean): Status {
    const { engine } = this;
    this.newestMs = engine?.newestTimeMs ?? this.newestMs;
    // Of a browser that does not tell, a picture that moves is the news.
    const newsAt = Math.max(engine?.newsAtMs ?? Number.NEGATIVE_INFINITY, this.openedMs, this.newsOfNative());
    const told = this.sheet?.lastSegmentMs ?? null;
    return statusOf({
      nowMs: Date.now() + (engine?.skewMs ?? 0),
      everPlayed: this.everPlayed,
      paused,
      ended,
      idleFor: this.playing ? (now - this.movedAt) / 1000 : Number.POSITIVE_INFINITY,
      behind: secondsBehind(this.latencies()),
      silentFor: (now - newsAt) / 1000,
      segmentS: this.pace().segmentS,
      newestMs: told !== null && this.newestMs !== null ? Math.max(told, this.newestMs) : this.newestMs,
    });
  }

  private newsOfNative(): number {
    return this.engine?.isLed ? Number.NEGATIVE_INFINITY : this.movedAt;
  }

  private isMoving(now: number): boolean {
    return this.playing && now - this.movedAt < 2 * SAMPLE_MS;
  }

  private sourceIsSilent(now: number): boolean {
    const { engine, movedAt } = this;
    return engine !== null && sourceIsSilent(now, movedAt, engine.answeredAtMs, engine.newsAtMs);
  }

  private observeMove(now: number): boolean {
    const mark = this.mark();
    const moved = mark !== this.lastMark && this.video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
    this.lastMark = mark;
    if (moved) {
      this.movedAt = now;
      this.everPlayed = true;
      this.playing = true;
      this.starved = false;
    }
    return moved;
  }

  private latencies(): Latencies {
    const { engine, video } = this;
    const edge = engine?.edge ?? null;
    if (!engine || edge === null) return { fromEdge: null, target: null, fromLens: null };
    const age = Number.isFinite(engine.newsAtMs) ? (performance.now() - engine.newsAtMs) / 1000 : 0;
    const { segmentS } = this.pace();
    // The edge moves on between two segments; when none comes any more, it stays.
    const fromEdge = Math.max(0, edge + Math.min(age, 2 * segmentS) - video.currentTime);
    const target = engine.isLed ? 1.5 * segmentS + this.live.floorS : null;
    const pictureTime = engine.pictureTimeMs;
    const fromLens = pictureTime === null ? null : (Date.now() + engine.skewMs - pictureTime) / 1000;
    return { fromEdge, target, fromLens };
  }

  private onWaiting(): void {
    if (!this.playing || this.video.seeking || this.starved) return;
    this.starved = true;
    this.stalls += 1;
    this.live.stalled(performance.now());
  }

  private onVisibility(): void {
    if (document.hidden) return;
    this.lastMark = this.mark();
    this.movedAt = performance.now();
    if (this.pausedByViewer) return;
    this.toLive();
    // Browsers pause muted videos of hidden pages and resume them; iOS does not always.
    this.play();
  }
}

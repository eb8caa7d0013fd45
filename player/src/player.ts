// One stream in one <video>: opens it, keeps it at the live edge, watches the picture, opens it again when it stays still.
import { type CacheBusting, pastCdn, sheetUrl } from './addresses.ts';
import { capabilities, type Engine, type Engines } from './engine.ts';
import { FrameCounter } from './frames.ts';
import { LiveEdge, PARTS_FLOOR, type Pace, USUAL_PACE } from './live-edge.ts';
import { readPlaylist } from './offer.ts';
import { readPartsPlaylist } from './parts-playlist.ts';
import { type Protocol, selectProtocol } from './protocol.ts';
import { Rate } from './rate.ts';
import { sourceIsSilent, Watchdog } from './recovery.ts';
import { Quality, type Report, type Thresholds } from './report.ts';
import { Rest } from './rest.ts';
import { fetchSheet, type Sheet } from './sheet.ts';
import { ranges, type Stats, statsOf } from './stats.ts';
import { type Latencies, type Status, secondsBehind, shownLatency, statusOf } from './status.ts';

const SAMPLE_MS = 500;
/** Short segments are a tenth of a second apart from a stall: looks are more often than that. */
const STEER_MS = 20;
/** While there is no picture, the agent's word is asked for again. */
const SHEET_AGAIN_MS = 15_000;

export interface Options {
  engines: Engines;
  workerPath: string | null;
  /** Beside the playlist unless it is told. */
  statusUrl: string | null;
  cacheBusting: CacheBusting;
  /** Parts are worth their requests: not for one of many small pictures. */
  parts: boolean;
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
  private readonly rest = new Rest();
  private isResting = false;
  private readonly rate = new Rate();
  private requestsPerSecond: number | null = null;
  /** Counts the times that the stream was opened. */
  private openings = 0;
  private partsTried = false;
  private breaks = 0;
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
    window.addEventListener('online', () => this.isResting || this.engine?.wake(), { signal });
    document.addEventListener('visibilitychange', () => this.onVisibility(), { signal });
    video.addEventListener('play', () => this.rouse(), { signal });
    this.timers = [setInterval(() => this.sample(), SAMPLE_MS), setInterval(() => this.steer(), STEER_MS)];
    this.choose(false);
    void this.open();
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
    if (this.status.kind === 'ended' || this.isResting) void this.open();
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
      requestsInVain: engine?.requestsInVain ?? 0,
      requestsPerSecond: this.requestsPerSecond,
      partsLost: engine?.partsLost ?? null,
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
  private choose(parts: boolean): void {
    const streams = { playlist: true, parts, webRtc: false };
    this.chain = selectProtocol(capabilities(this.options.engines), streams);
    this.partsTried ||= this.chain.includes('sub_second');
  }

  /** The playlist says what the stream is; an engine of parts goes on from there. */
  private async open(): Promise<void> {
    this.isResting = false;
    this.openings += 1;
    const { openings, url } = this;
    const text = this.mayHaveParts ? await readPlaylist(this.fresh(url), this.life.signal) : null;
    if (openings !== this.openings || url !== this.url || this.life.signal.aborted) return;
    // What was in parts is so still, if nobody answers now: its engine asks again.
    const parts = text === null ? this.chain[0] === 'sub_second' : readPartsPlaylist(text, url) !== null;
    this.choose(parts);
    this.start(parts ? text : null);
  }

  private get mayHaveParts(): boolean {
    const isWanted = this.options.parts || this.sheet?.wholeSegments === false;
    return isWanted && this.options.engines.sub_second !== undefined;
  }

  private start(opening: string | null = null): void {
    this.engine?.destroy();
    this.playing = false;
    this.starved = false;
    this.lastMark = this.mark();
    this.movedAt = this.openedMs = performance.now();
    this.live = new LiveEdge(this.pace());
    this.live.returned();
    const [protocol] = this.chain;
    const open = protocol && this.options.engines[protocol];
    const fresh = (url: string) => this.fresh(url);
    const source = { url: this.url, fresh, opening, workerPath: this.options.workerPath };
    this.engine = open ? open(this.video, source) : null;
    if (this.sheet) this.engine?.adopt(this.sheet);
    if (this.video.autoplay || this.everPlayed) this.play();
  }

  private fresh(url: string): string {
    return pastCdn(url, Date.now(), this.busting());
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
    if (this.isResting || !(isWanted || isAgain)) return;
    if (!engine || engine.answeredAtMs === Number.NEGATIVE_INFINITY) return;
    this.sheetAskedMs = now;
    const url = this.options.statusUrl ?? sheetUrl(this.url);
    const sheet = await fetchSheet(url && this.fresh(url), this.life.signal);
    if (!sheet || this.life.signal.aborted) return;
    this.sheet = sheet;
    this.engine?.adopt(sheet);
    // There was no playlist yet to tell.
    if (!sheet.parts || !this.mayHaveParts || this.partsTried) return;
    this.partsTried = true;
    void this.open();
  }

  /** A camera that has other renditions now may have another playlist. */
  private async follow(): Promise<void> {
    const { url } = this;
    const found = await this.options.findAgain(url);
    if (!found || found === url || this.url !== url || this.life.signal.aborted) return;
    this.url = found;
    void this.open();
  }

  /** Differs as soon as the picture moved. A hidden page draws no frames, but its time goes on. */
  private mark(): string {
    return document.hidden ? `time ${this.video.currentTime}` : `frame ${this.frames.count}`;
  }

  private steer(): void {
    const { engine, video } = this;
    if (!engine?.isLed || this.isOver() || this.isResting) return;
    if (engine.breaks !== this.breaks) this.live.returned();
    this.breaks = engine.breaks;
    const move = this.live.look({
      nowMs: performance.now(),
      currentTime: video.currentTime,
      buffered: ranges(video.buffered),
      playing: !video.paused && !video.seeking && video.readyState >= HTMLMediaElement.HAVE_METADATA,
      waiting: video.readyState < HTMLMediaElement.HAVE_FUTURE_DATA,
      audible: isAudible(video),
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
    const segmentS = this.engine?.segmentS ?? pace.segmentS;
    if (this.engine?.partsLost === null || !this.engine) return { ...pace, segmentS };
    return { ...pace, segmentS, reserveS: 0, floor: PARTS_FLOOR };
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
    this.restWhileAlone(now);
    const unseen = document.hidden && !document.pictureInPictureElement && !isAudible(this.video);
    const excused = unseen || ended || paused || this.isResting;
    if (this.watchdog.shouldReopen(now, moved || excused || isSilent)) {
      this.reopened += 1;
      void this.open();
      void this.follow();
    }
    this.fallBack();
    this.live.paceIs(this.pace());
    void this.readSheet(now);
    this.status = this.judge(now, paused || this.isResting, ended);
    this.requestsPerSecond = this.rate.look(now, this.engine?.requests ?? 0);
    const latency = shownLatency(this.latencies());
    this.quality.look(now, { moving: moved || this.isMoving(now), excused, latency });
    this.onChange(this.stats());
  }

  private restWhileAlone(now: number): void {
    const { video } = this;
    const hidden = document.hidden && !document.pictureInPictureElement;
    const audience = { hidden, audible: isAudible(video), paused: video.paused };
    const isAlone = this.rest.look(now, audience);
    const mayRest = this.engine && !this.isResting && (this.everPlayed || document.hidden);
    if (!isAlone || !mayRest) return;
    this.isResting = true;
    this.engine?.rest();
  }

  /** Somebody is back. */
  private rouse(): void {
    if (this.isResting && !document.hidden) void this.open();
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
      silentFor: this.isResting ? 0 : (now - newsAt) / 1000,
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
    if (this.isResting) void this.open();
    else this.toLive();
    // Browsers pause muted videos of hidden pages and resume them; iOS does not always.
    this.play();
  }
}

function isAudible(video: HTMLVideoElement): boolean {
  return !video.muted && video.volume > 0;
}

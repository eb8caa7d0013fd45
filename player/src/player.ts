// One stream in one <video>: opens it, keeps it at the live edge, watches the picture, opens it again when it stays still.
import { type CacheBusting, pastCdn, sheetUrl } from './addresses.ts';
import { Audience } from './audience.ts';
import { tryParts } from './beginning.ts';
import { Comeback } from './comeback.ts';
import { capabilities, type Engine, isOutOfWays } from './engine.ts';
import { Gauge } from './gauge.ts';
import { isAudible, Lead, paceOf } from './lead.ts';
import type { Pace } from './live-edge.ts';
import { readPlaylist } from './offer.ts';
import type { Options } from './options.ts';
import { readPartsPlaylist } from './parts-playlist.ts';
import { Picture } from './picture.ts';
import { type Protocol, selectProtocol } from './protocol.ts';
import { goesOn, sourceIsSilent, standsThoughAnswered, Watchdog } from './recovery.ts';
import type { Report, Thresholds } from './report.ts';
import type { Sheet } from './sheet.ts';
import { SheetReader } from './sheet-reader.ts';
import { newsOf, Silence } from './silence.ts';
import { type Stats, statsOf } from './stats.ts';
import { type Latencies, latenciesOf, type Status, secondsBehind, shownLatency, statusOf } from './status.ts';
import { Totals } from './totals.ts';
import { Verdict } from './verdict.ts';
import { Whereabouts } from './whereabouts.ts';

const SAMPLE_MS = 500;
/** Short segments are a tenth of a second apart from a stall: looks are more often than that. */
const STEER_MS = 20;

export class Player {
  private engine: Engine | null = null;
  private chain: Protocol[] = [];
  private readonly sheets = new SheetReader();
  private readonly comeback = new Comeback();
  private readonly verdict = new Verdict();
  private readonly silence = new Silence();
  private readonly totals = new Totals();
  private watchdog = new Watchdog(performance.now());
  private readonly lead: Lead;
  private readonly gauge = new Gauge(performance.now());
  private readonly picture: Picture;
  private readonly whereabouts: Whereabouts;
  private readonly audience: Audience;
  private isResting = false;
  /** It rested, and is being opened. */
  private isReturning = false;
  /** Counts the times that the stream was opened: what was asked for one of them is not for the next. */
  private openings = 0;
  private readonly life = new AbortController();
  private readonly timers: ReturnType<typeof setInterval>[];
  private newestMs: number | null = null;
  private reopened = 0;
  private status: Status = { kind: 'waiting', label: 'waiting for the stream' };

  constructor(
    private readonly video: HTMLVideoElement,
    private url: string,
    private readonly options: Options,
    private readonly onChange: (stats: Stats) => void,
  ) {
    this.picture = new Picture(video, performance.now(), () => this.sample());
    this.lead = new Lead(video);
    const { signal } = this.life;
    this.audience = new Audience(video, options.wish, options.autoplay, signal);
    this.whereabouts = new Whereabouts(options.findAgain);
    video.addEventListener('waiting', () => this.onWaiting(), { signal });
    window.addEventListener('online', () => this.isResting || this.engine?.wake(), { signal });
    document.addEventListener('visibilitychange', () => this.onVisibility(), { signal });
    // As the attribute would have it, which forgets who paused.
    video.addEventListener('canplay', () => this.playOn(), { signal });
    video.addEventListener('play', () => this.onPlay(), { signal });
    this.timers = [setInterval(() => this.sample(), SAMPLE_MS), setInterval(() => this.steer(), STEER_MS)];
    this.choose(false);
    void this.open();
  }

  destroy(): void {
    this.life.abort();
    this.timers.forEach(clearInterval);
    this.picture.stop();
    this.drop();
    this.video.playbackRate = 1;
  }

  /** Some engine of this build fits this browser. */
  get canPlay(): boolean {
    return this.chain.length > 0;
  }

  /** Of a stream that ended: perhaps it goes on. */
  goLive(): void {
    this.options.wish.plays();
    if (this.status.kind === 'ended' || this.isResting) void this.open();
    else this.lead.toLive(this.engine, this.pace());
    this.autoplay();
  }

  /** Of a muted video it is allowed nearly everywhere; where not, the controls are there. What has ended would begin again. */
  autoplay(): void {
    if (this.audience.wantsPlay && !this.video.ended) this.video.play().catch(() => undefined);
  }

  /** What browsers pause because it is hidden is left to them. */
  private playOn(): void {
    if (this.audience.isThere) this.autoplay();
  }

  stats(): Stats {
    const { engine, lead, picture } = this;
    const latencies = this.latencies();
    return statsOf(this.video, {
      ...this.totals.with(engine),
      playlistUrl: this.url,
      protocol: this.chain[0] ?? null,
      state: this.status.kind,
      label: this.status.label,
      framesPresented: picture.framesPresented,
      latency: shownLatency(latencies),
      latencies,
      floor: engine?.isLed ? lead.floorS : null,
      bitrateKbps: engine?.bitrateKbps ?? null,
      requestsPerSecond: this.gauge.requestsPerSecond,
      stalls: lead.stalls,
      jumps: lead.jumps,
      reopened: this.reopened,
      lastError: engine?.lastError ?? null,
      reason: picture.isMoving(performance.now()) ? null : this.sheets.reason,
    });
  }

  report(limits: Thresholds): Report {
    const seen = { src: this.url, state: this.status.kind, stalls: this.lead.stalls };
    return this.gauge.report(performance.now(), limits, seen);
  }

  /** Best first; where one can't play it, the next one's turn comes. */
  private choose(parts: boolean): void {
    this.chain = selectProtocol(capabilities(this.options.engines), { playlist: true, parts, webRtc: false });
  }

  /** The playlist says what the stream is; an engine of parts goes on from there. */
  private async open(): Promise<void> {
    this.isReturning ||= this.isResting;
    this.isResting = false;
    this.audience.returned();
    this.openings += 1;
    const { openings, url } = this;
    const mayHaveParts = this.mayHaveParts && !this.isBarred;
    const text = mayHaveParts ? await readPlaylist(this.fresh(url), this.life.signal) : null;
    if (openings !== this.openings || url !== this.url || this.life.signal.aborted) return;
    // What was in parts is so still, if nobody answers now: its engine asks again.
    const parts = text === null ? mayHaveParts && this.isByParts : readPartsPlaylist(text, url) !== null;
    this.choose(parts);
    this.start(parts ? text : null);
  }

  private get mayHaveParts(): boolean {
    const isWanted = this.options.parts || this.sheet?.wholeSegments === false;
    return isWanted && this.options.engines.sub_second !== undefined;
  }

  /** Its parts had trouble lately, and there is something else to play. */
  private get isBarred(): boolean {
    return this.comeback.isBarred(performance.now()) && this.sheet?.wholeSegments !== false;
  }

  private start(opening: string | null = null): void {
    this.lead.begin(this.pace());
    this.drop();
    this.isReturning = this.isResting = false;
    const now = performance.now();
    this.picture.opened(now);
    this.silence.opened(now, this.status.kind === 'offline');
    const [protocol] = this.chain;
    const open = protocol && this.options.engines[protocol];
    const fresh = (url: string) => this.fresh(url);
    const { workerPath } = this.options;
    const source = { url: this.url, fresh, opening, workerPath, playOn: () => this.playOn() };
    this.engine = open ? open(this.video, source) : null;
    if (this.sheet) this.engine?.adopt?.(this.sheet);
    if (this.isByParts) this.comeback.began(now);
    else this.offerParts(now);
    this.autoplay();
  }

  private drop(): void {
    if (this.engine) this.totals.keep(this.engine);
    this.engine?.destroy();
    this.engine = null;
  }

  private get isByParts(): boolean {
    return this.chain[0] === 'sub_second';
  }

  private fresh(url: string): string {
    return pastCdn(url, Date.now(), this.busting());
  }

  private busting(): CacheBusting {
    const { cacheBusting } = this.options;
    return cacheBusting === 'auto' && this.sheet?.cacheBusting ? 'on' : cacheBusting;
  }

  private fallBack(now: number): void {
    const { engine } = this;
    if (!engine?.isUnfit) return;
    if (engine.cantDecode !== null) this.verdict.hear(now, engine.cantDecode);
    if (this.chain.length < 2) return;
    if (this.isByParts) this.comeback.left(now);
    this.chain.shift();
    this.start();
  }

  /** Nobody told of them before, or the playlist did not at that moment. */
  private offerParts(now: number): void {
    const mayBe = this.sheet?.parts || this.comeback.hasBegun;
    if (mayBe && this.mayHaveParts && !this.isByParts) this.comeback.offered(now);
  }

  /** By parts again, if they can be had: what plays now plays on until that is known. */
  private async comeBack(now: number): Promise<void> {
    if (!this.comeback.isDue(now) || !this.mayChange(now)) return;
    this.comeback.tried(now);
    const { openings, url } = this;
    const text = await tryParts(url, this.fresh(url), this.life.signal);
    if (text === null || openings !== this.openings || url !== this.url) return;
    if (this.life.signal.aborted || !this.mayChange(performance.now())) return;
    this.openings += 1;
    this.choose(true);
    this.start(text);
  }

  /** They were for while there was nothing else. */
  private leaveParts(): void {
    if (!this.isByParts || this.mayHaveParts || !this.sheets.areWholesSure) return;
    if (!this.isExcused()) void this.open();
  }

  /** To parts, from something else that plays well: of a stream that is silent they would only show the last second again. */
  private mayChange(now: number): boolean {
    const { engine } = this;
    if (!engine || !this.mayHaveParts || this.isByParts || this.isExcused()) return false;
    const isNew = !engine.isLed || goesOn(now, engine.newsAtMs, this.pace().segmentS);
    return isNew && this.picture.isMoving(now);
  }

  /** The first picture does not wait for it, and before there is a playlist there is nothing to ask for. */
  private async readSheet(now: number): Promise<void> {
    const hasPlaylist = this.engine && this.engine.answeredAtMs !== Number.NEGATIVE_INFINITY;
    if (this.isResting || !hasPlaylist) return;
    const url = this.options.statusUrl ?? sheetUrl(this.url);
    const address = () => url && this.fresh(url);
    const isMoving = this.picture.isMoving(now);
    const hadWholes = this.sheet?.wholeSegments !== false;
    const isNew = await this.sheets.read(now, isMoving, address, !this.options.parts, this.life.signal);
    if (!isNew || !this.sheet) return;
    this.engine?.adopt?.(this.sheet);
    this.offerParts(performance.now());
    // There is nothing but parts, and nothing that another start could lose.
    const isNews = hadWholes && !this.sheet.wholeSegments && !this.isByParts && this.mayHaveParts;
    const mayOpen = !this.picture.isMoving(performance.now()) && !this.isPaused && !this.isResting;
    if (isNews && mayOpen) void this.open();
  }

  private get sheet(): Sheet | null {
    return this.sheets.sheet;
  }

  /** A camera that has other renditions now may have another playlist. */
  private async follow(now: number): Promise<void> {
    const { engine, url } = this;
    const stands = !this.picture.isMoving(now) && !this.isExcused();
    const found = await this.whereabouts.look(now, url, engine, stands);
    if (found === null || this.url !== url || this.life.signal.aborted) return;
    this.url = found;
    void this.open();
  }

  private steer(): void {
    const isOver = this.status.kind === 'ended' || this.video.ended;
    this.lead.steer(isOver || this.isResting ? null : this.engine, performance.now());
  }

  private pace(): Pace {
    return paceOf(this.sheet, this.engine, isAudible(this.video));
  }

  /** Also at once, by whoever made it: what it tells may be acted upon. */
  sample(): void {
    const { engine, picture } = this;
    const now = performance.now();
    const moved = picture.look(now);
    const isSilent =
      engine !== null && sourceIsSilent(now, picture.movedAtMs, engine.answeredAtMs, engine.newsAtMs);
    this.restWhileAlone(now);
    if (this.watchdog.shouldReopen(now, moved || this.isExcused() || isSilent)) this.reopenStill(now);
    void this.follow(now);
    this.fallBack(now);
    void this.comeBack(now);
    this.leaveParts();
    this.lead.paceIs(this.pace());
    void this.readSheet(now);
    this.status = this.judge(now, moved);
    this.measure(now, moved);
    this.onChange(this.stats());
  }

  /** The picture stands for long. */
  private reopenStill(now: number): void {
    const { comeback, engine } = this;
    if (engine && !this.video.paused && standsThoughAnswered(this.picture.movedAtMs, engine.answeredAtMs)) {
      if (this.isByParts) comeback.left(now);
      else comeback.othersFailed(now);
    }
    this.reopened += 1;
    void this.open();
  }

  private measure(now: number, moved: boolean): void {
    const moving = moved || this.picture.isMoving(now);
    // Before the first picture, too, who paused waits for nothing.
    const excused = this.isExcused() || (this.engine !== null && this.video.paused);
    const latency = shownLatency(this.latencies());
    const { waitedMs } = this.lead;
    this.gauge.look(now, this.totals.with(this.engine), { moving, excused, latency, waitedMs });
  }

  /** By the viewer, or nobody began it: what was opened just now is paused until there is something to play. */
  private get isPaused(): boolean {
    const { paused, readyState } = this.video;
    // iPhones load no more than that before it plays.
    const { HAVE_METADATA, HAVE_CURRENT_DATA } = HTMLMediaElement;
    const couldPlay = readyState >= (this.engine?.isLed === false ? HAVE_METADATA : HAVE_CURRENT_DATA);
    return paused && (couldPlay || this.audience.hasPaused);
  }

  /** Nobody expects a picture that moves. */
  private isExcused(): boolean {
    return !this.audience.isThere || (this.engine?.ended ?? false) || this.isPaused || this.isResting;
  }

  private restWhileAlone(now: number): void {
    const { engine } = this;
    const isSeen = this.picture.hasMoved || this.isPaused || document.hidden;
    const mayRest = engine && !engine.ended && !this.isResting && isSeen;
    if (!this.audience.isLongGone(now) || !mayRest) return;
    this.isResting = true;
    engine.rest();
  }

  private judge(now: number, moved: boolean): Status {
    const { engine, picture } = this;
    this.newestMs = engine?.newestTimeMs ?? this.newestMs;
    const isAsked = !this.isResting && !this.isReturning && !engine?.isIdle;
    const isPaused = this.isPaused || this.isResting;
    return statusOf({
      nowMs: Date.now() + (engine?.skewMs ?? 0),
      everPlayed: picture.hasMoved || isPaused,
      paused: isPaused,
      ended: engine?.ended ?? false,
      cantPlay: this.verdict.look(now, { moved, isLast: isOutOfWays(engine, this.chain) }),
      idleFor: picture.idleS(now),
      behind: secondsBehind(this.latencies()),
      silentFor: this.silence.look(now, newsOf(engine, picture), isAsked),
      byParts: this.isByParts,
      segmentS: this.pace().segmentS,
      newestMs: this.sheets.newestMs(this.newestMs),
      isListed: this.newestMs !== null,
    });
  }

  private latencies(): Latencies {
    const { engine, video } = this;
    const seen = { nowMs: performance.now(), wallMs: Date.now(), currentTime: video.currentTime };
    return latenciesOf(engine, seen, this.pace().segmentS, this.lead.floorS);
  }

  private onPlay(): void {
    // What the browser began may be stopped already.
    if (!this.video.paused && this.isResting && this.audience.isThere) void this.open();
  }

  private onWaiting(): void {
    if (!this.picture.isPlaying || this.video.seeking) return;
    this.lead.stalled(performance.now());
  }

  private onVisibility(): void {
    if (document.hidden) return;
    this.picture.shown(performance.now());
    if (this.status.kind === 'ended') return;
    // What nobody has seen yet is looked at, if not played.
    if (!this.audience.wantsPlay && (!this.isResting || this.picture.hasMoved)) return;
    if (this.isResting) void this.open();
    else this.lead.toLive(this.engine, this.pace());
    // Browsers pause muted videos of hidden pages and resume them; iOS does not always.
    this.autoplay();
  }
}

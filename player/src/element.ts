// <edge-player>: the player for any page.
import { type CacheBusting, placeOf } from './addresses.ts';
import type { Engines } from './engine.ts';
import { Face } from './face.ts';
import { Muting } from './muting.ts';
import { Player } from './player.ts';
import { parseThresholds, type Report, type Thresholds } from './report.ts';
import type { Stats } from './stats.ts';
import { upgradeProperties } from './upgrade.ts';
import { Wish } from './wish.ts';

const LATENCY_EVERY_MS = 1000;
/** Looks are half a second apart, or nearly so. */
const JITTER_MS = 200;
const REPORT_EVERY_MS = 10_000;
/** What makes another stream of it; the rest is taken up while it plays. */
const OPENS_ANEW = ['src', 'status-src', 'cache-busting', 'parts'];
const SETTABLE = ['src', 'statusSrc', 'muted', 'autoplay', 'controls', 'thresholds', 'onreport', 'findAgain'];

/** Servers that render pages import it, too: there the tag is all that it is. */
const Base = globalThis.HTMLElement ?? (class {} as typeof HTMLElement);

type OnReport = ((report: Report) => void) | null;
type FindAgain = ((src: string) => Promise<string | undefined>) | null;

export interface LatencyDetail {
  latency: number | null;
  fromEdge: number | null;
  fromLens: number | null;
  buffer: number;
}

export interface StateDetail {
  state: Stats['state'];
  label: string;
}

/** The class over the engines of this build. */
export function edgePlayer(engines: Engines, workerPath: string | null) {
  return class EdgePlayer extends Base {
    static readonly observedAttributes = [
      ...OPENS_ANEW,
      'muted',
      'autoplay',
      'controls',
      'poster',
      'label',
      'quiet',
      'stats',
      'thresholds',
    ];

    // With setters: a field would overwrite what was set before the class was there.
    private tellsReport: OnReport = null;
    private findsAgain: FindAgain = null;
    private readonly face: Face;
    private readonly muting: Muting;
    private player: Player | null = null;
    private wish = new Wish();
    private limits: Thresholds = parseThresholds(null);
    private told: { state: string; latencyMs: number; reportMs: number; news: string } = UNTOLD;
    private pending = false;

    constructor() {
      super();
      const root = this.attachShadow({ mode: 'open' });
      this.face = new Face(root, {
        goLive: () => this.goLive(),
        toggleStats: () => this.toggleStats(),
      });
      this.muting = new Muting(this.face.video);
      this.face.showPanel(false, true);
      root.addEventListener('keydown', (event) => this.onKey(event as KeyboardEvent));
    }

    connectedCallback(): void {
      upgradeProperties(this, SETTABLE);
      this.dressVideo();
      this.reopen();
    }

    disconnectedCallback(): void {
      // Moved within the document, it is back before this.
      queueMicrotask(() => {
        if (!this.isConnected) this.close();
      });
    }

    attributeChangedCallback(name: string, before: string | null, after: string | null): void {
      if (before === after) return;
      if (name === 'src') this.isAnother(before, after);
      if (OPENS_ANEW.includes(name)) {
        this.close();
        this.reopen();
      } else if (name === 'thresholds') this.limits = parseThresholds(after);
      else if (name === 'stats') this.showPanel();
      else if (name === 'quiet') this.face.quiet = after !== null;
      else if (name === 'autoplay') this.player?.autoplay();
      else this.dressVideo();
    }

    get src(): string | null {
      return this.getAttribute('src');
    }

    set src(value: string | null) {
      this.put('src', value);
    }

    get statusSrc(): string | null {
      return this.getAttribute('status-src');
    }

    set statusSrc(value: string | null) {
      this.put('status-src', value);
    }

    get muted(): boolean {
      return this.muting.muted;
    }

    set muted(value: boolean) {
      const { video } = this.face;
      const wasPlaying = !video.paused;
      this.muting.muted = value;
      if (!wasPlaying || !video.paused) return;
      // The browser allows no sound that nobody asked for: rather none than a picture that stands.
      this.muting.muted = true;
      video.play().catch(() => undefined);
    }

    get autoplay(): boolean {
      return this.hasAttribute('autoplay');
    }

    set autoplay(value: boolean) {
      this.toggleAttribute('autoplay', value);
    }

    get controls(): boolean {
      return this.hasAttribute('controls');
    }

    set controls(value: boolean) {
      this.toggleAttribute('controls', value);
    }

    get thresholds(): Thresholds {
      return this.limits;
    }

    /** Frameworks that set properties give the attribute's text. */
    set thresholds(value: Partial<Thresholds> | string) {
      this.limits = typeof value === 'string' ? parseThresholds(value) : { ...this.limits, ...value };
    }

    /** Called with each report; the event `edge-report` tells the same. */
    get onreport(): OnReport {
      return this.tellsReport;
    }

    set onreport(value: OnReport) {
      this.tellsReport = value;
    }

    /** As whoever knows the cameras has the address now: asked while the picture stands, ever more rarely. */
    get findAgain(): FindAgain {
      return this.findsAgain;
    }

    set findAgain(value: FindAgain) {
      this.findsAgain = value;
    }

    /** Seconds from the lens to the screen; from the live edge, if the stream does not tell the time. */
    get latency(): number | null {
      return this.stats()?.latency ?? null;
    }

    get state(): Stats['state'] {
      return this.stats()?.state ?? 'waiting';
    }

    /** For what has no method here. */
    get video(): HTMLVideoElement {
      return this.face.video;
    }

    get stats(): () => Stats | null {
      return () => this.player?.stats() ?? null;
    }

    /** The attribute of this name: frameworks set it as a property where there is one. */
    set stats(value: string | boolean | null) {
      if (typeof value === 'string') this.put('stats', value);
      else this.toggleAttribute('stats', value === true);
    }

    report(): Report | null {
      return this.player?.report(this.limits) ?? null;
    }

    play(): Promise<void> {
      const { video } = this.face;
      const before = this.wish.isToPlay;
      this.wish.plays();
      return video.play().catch((error: unknown) => {
        const isRefused = error instanceof DOMException && error.name === 'NotAllowedError';
        if (isRefused && video.paused) this.wish.refused(before);
        throw error;
      });
    }

    pause(): void {
      this.wish.stops();
      this.face.video.pause();
    }

    goLive(): void {
      this.player?.goLive();
    }

    /** What was paused was another stream. */
    private isAnother(before: string | null, after: string | null): void {
      const [from, to] = [resolved(before), resolved(after)];
      if (from && !(to && placeOf(from) === placeOf(to))) this.wish = new Wish();
    }

    private toggle(): void {
      const { video } = this.face;
      // What is being opened is paused for the moment.
      const wants = video.readyState > 0 ? !video.paused : (this.wish.isToPlay ?? this.autoplay);
      if (wants) this.pause();
      else void this.play().catch(() => undefined);
    }

    private put(name: string, value: string | null): void {
      if (value === null) this.removeAttribute(name);
      else this.setAttribute(name, value);
    }

    /** Several attributes that are set in a row are one new stream. */
    private reopen(): void {
      if (this.pending) return;
      this.pending = true;
      queueMicrotask(() => {
        this.pending = false;
        if (this.isConnected && !this.player) this.open();
      });
    }

    private open(): void {
      const url = resolved(this.src);
      this.told = { ...UNTOLD, reportMs: performance.now() };
      if (!url) {
        const hint = this.src ? 'Give src the http(s) address of a stream.m3u8.' : '';
        this.face.showMessage(this.src ? 'this is no playlist address' : 'no stream', hint);
        return;
      }
      this.muting.begin();
      const options = {
        engines,
        workerPath,
        statusUrl: resolved(this.statusSrc),
        cacheBusting: busting(this.getAttribute('cache-busting')),
        wish: this.wish,
        autoplay: () => this.autoplay,
        parts: this.getAttribute('parts') !== 'off',
        findAgain: async (src: string) => resolved((await this.findAgain?.(src)) ?? null) ?? undefined,
      };
      const player = new Player(this.face.video, url, options, (stats) => this.tell(stats));
      this.player = player;
      player.sample();
      if (!player.canPlay)
        this.face.showMessage(
          'this browser cannot play HLS',
          'Any current Chrome, Edge, Firefox or Safari can.',
        );
    }

    private close(): void {
      this.player?.destroy();
      this.player = null;
    }

    private dressVideo(): void {
      const { video } = this.face;
      video.controls = this.controls;
      // Without controls there is nothing else to focus for the keys.
      video.tabIndex = 0;
      video.setAttribute('aria-label', this.getAttribute('label') ?? 'Live video');
      const poster = this.getAttribute('poster');
      if (poster) video.poster = poster;
      else video.removeAttribute('poster');
      this.muting.byDefault(this.hasAttribute('muted'));
      this.showPanel();
    }

    private toggleStats(): void {
      if (this.getAttribute('stats') !== 'none') this.toggleAttribute('stats');
    }

    private showPanel(): void {
      const mode = this.getAttribute('stats');
      this.face.showPanel(mode !== null && mode !== 'none', mode !== 'none');
    }

    private tell(stats: Stats): void {
      if (!stats.protocol) return;
      this.face.showStats(stats);
      const now = performance.now();
      if (stats.state !== this.told.state) {
        this.told = { ...this.told, state: stats.state };
        this.emit<StateDetail>('edge-state', { state: stats.state, label: stats.label });
      }
      if (now - this.told.latencyMs > LATENCY_EVERY_MS - JITTER_MS) {
        this.told = { ...this.told, latencyMs: now };
        const { latency, latencies, buffer } = stats;
        const { fromEdge, fromLens } = latencies;
        this.emit<LatencyDetail>('edge-latency', { latency, fromEdge, fromLens, buffer });
      }
      this.tellReport(now);
    }

    /** Now and then, and at once when there is a picture, or another alert. */
    private tellReport(now: number): void {
      const report = this.report();
      if (!report) return;
      const news = [report.firstPicture !== null, ...report.alerts].join();
      if (news === this.told.news && now - this.told.reportMs < REPORT_EVERY_MS) return;
      this.told = { ...this.told, reportMs: now, news };
      this.onreport?.(report);
      this.emit('edge-report', report);
    }

    private emit<T>(name: string, detail: T): void {
      this.dispatchEvent(new CustomEvent(name, { detail, bubbles: true, composed: true }));
    }

    private onKey(event: KeyboardEvent): void {
      if (event.ctrlKey || event.metaKey || event.altKey) return;
      const { video } = this.face;
      const onVideo = event.composedPath()[0] === video;
      const action = {
        k: () => this.toggle(),
        m: () => {
          this.muted = !this.muted;
        },
        l: () => this.goLive(),
        s: () => this.toggleStats(),
        f: () => toggleFullscreen(this),
      }[event.key.toLowerCase()];
      // With controls the browser has the space bar.
      const space = event.key === ' ' && onVideo && !video.controls;
      if (space) this.toggle();
      else if (action) action();
      else return;
      event.preventDefault();
    }
  };
}

const UNTOLD = {
  state: '',
  latencyMs: Number.NEGATIVE_INFINITY,
  reportMs: Number.NEGATIVE_INFINITY,
  news: 'false',
};

function resolved(text: string | null): string | null {
  if (!text) return null;
  try {
    const url = new URL(text, document.baseURI);
    return url.protocol === 'http:' || url.protocol === 'https:' ? url.href : null;
  } catch {
    return null;
  }
}

function busting(text: string | null): CacheBusting {
  return text === 'on' || text === 'off' ? text : 'auto';
}

function toggleFullscreen(element: HTMLElement): void {
  if (document.fullscreenElement) void document.exitFullscreen();
  else element.requestFullscreen?.().catch(() => undefined);
}

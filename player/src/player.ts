// One camera in one <video>: opens it, watches the picture, opens it again when it stays still.
import type { Camera } from './catalog.ts';
import type { Engine, OpenEngine } from './engine.ts';
import { FrameCounter } from './frames.ts';
import { sourceIsSilent, Watchdog } from './recovery.ts';
import { type Latencies, type Status, secondsBehind, shownLatency, statusOf } from './status.ts';

const SAMPLE_MS = 500;

/** A plain snapshot, for tests and for whoever embeds the page. Times in seconds. */
export interface Stats {
  camera: string | null;
  playlistUrl: string | null;
  state: Status['kind'];
  label: string;
  framesPresented: number;
  framesDropped: number;
  currentTime: number;
  playbackRate: number;
  /** From the lens if the stream has wall-clock times, else from the live edge. */
  latency: number | null;
  latencies: Latencies;
  seekable: [number, number] | null;
  buffered: [number, number][];
  /** The picture had to wait for data, after the first frame. */
  stalls: number;
  /** Times the whole pipeline was opened anew. */
  reopened: number;
  lastError: string | null;
  width: number;
  height: number;
}

export class Player {
  private camera: Camera | null = null;
  private engine: Engine | null = null;
  private watchdog = new Watchdog(performance.now());
  private readonly frames: FrameCounter;
  /** Since this camera was chosen. */
  private everPlayed = false;
  /** Since its pipeline was opened last. */
  private playing = false;
  private starved = false;
  private pausedByViewer = false;
  private stalls = 0;
  private reopened = 0;
  private lastMark = '';
  private movedAt = performance.now();
  private status: Status = statusOf({
    everPlayed: false,
    paused: false,
    ended: false,
    idleFor: 0,
    behind: null,
  });

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly openEngine: OpenEngine,
    private readonly findAgain: (camera: Camera) => Promise<Camera | undefined>,
    private readonly onChange: (stats: Stats) => void,
  ) {
    this.frames = new FrameCounter(video);
    video.addEventListener('waiting', () => this.onWaiting());
    window.addEventListener('online', () => this.engine?.wake());
    document.addEventListener('visibilitychange', () => this.onVisibility());
    window.setInterval(() => this.sample(), SAMPLE_MS);
  }

  open(camera: Camera): void {
    this.camera = camera;
    this.everPlayed = false;
    this.stalls = 0;
    this.reopened = 0;
    this.watchdog = new Watchdog(performance.now());
    this.start();
    this.sample();
  }

  goLive(): void {
    this.engine?.goLive();
    this.play();
  }

  /** Autoplay of a muted video is allowed nearly everywhere; where not, the controls are there. */
  play(): void {
    this.video.play().catch(() => undefined);
  }

  stats(): Stats {
    const { video } = this;
    const latencies = this.latencies();
    return {
      camera: this.camera?.name ?? null,
      playlistUrl: this.camera?.playlistUrl ?? null,
      state: this.status.kind,
      label: this.status.label,
      framesPresented: this.frames.count,
      framesDropped: video.getVideoPlaybackQuality().droppedVideoFrames,
      currentTime: video.currentTime,
      playbackRate: video.playbackRate,
      latency: shownLatency(latencies),
      latencies,
      seekable: ranges(video.seekable).at(-1) ?? null,
      buffered: ranges(video.buffered),
      stalls: this.stalls,
      reopened: this.reopened,
      lastError: this.engine?.lastError ?? null,
      width: video.videoWidth,
      height: video.videoHeight,
    };
  }

  private start(): void {
    this.engine?.destroy();
    this.playing = false;
    this.starved = false;
    this.lastMark = this.mark();
    this.movedAt = performance.now();
    this.engine = this.camera ? this.openEngine(this.video, this.camera.playlistUrl) : null;
    this.play();
  }

  /** A camera that has other renditions now may have another playlist. */
  private async follow(): Promise<void> {
    const { camera } = this;
    const found = camera && (await this.findAgain(camera));
    if (!found || this.camera !== camera || found.playlistUrl === camera.playlistUrl) return;
    this.camera = found;
    this.start();
  }

  /** Differs as soon as the picture moved. A hidden page draws no frames, but its time goes on. */
  private mark(): string {
    return document.hidden ? `time ${this.video.currentTime}` : `frame ${this.frames.count}`;
  }

  private sample(): void {
    const now = performance.now();
    const moved = this.observeMove(now);
    const ended = this.engine?.ended ?? false;
    const paused = this.playing && this.video.paused;
    if (!document.hidden) this.pausedByViewer = paused;
    const excused = document.hidden || ended || paused || !this.camera || this.sourceIsSilent(now);
    if (this.watchdog.shouldReopen(now, moved || excused)) {
      this.reopened += 1;
      this.start();
      void this.follow();
    }
    this.status = statusOf({
      everPlayed: this.everPlayed,
      paused,
      ended,
      idleFor: this.playing ? (now - this.movedAt) / 1000 : Number.POSITIVE_INFINITY,
      behind: secondsBehind(this.latencies()),
    });
    this.onChange(this.stats());
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
    const engine = this.engine;
    if (!engine) return { fromEdge: null, target: null, fromLens: null };
    const pictureTime = engine.pictureTimeMs;
    const fromLens = pictureTime === null ? null : (Date.now() + engine.skewMs - pictureTime) / 1000;
    return { fromEdge: engine.fromEdge, target: engine.target, fromLens };
  }

  private onWaiting(): void {
    if (!this.playing || this.video.seeking || this.starved) return;
    this.starved = true;
    this.stalls += 1;
  }

  private onVisibility(): void {
    if (document.hidden) return;
    this.lastMark = this.mark();
    this.movedAt = performance.now();
    // Browsers pause muted videos of hidden pages and resume them; iOS does not always.
    if (!this.pausedByViewer) this.play();
  }
}

function ranges(list: TimeRanges): [number, number][] {
  return Array.from({ length: list.length }, (_, i) => [list.start(i), list.end(i)]);
}

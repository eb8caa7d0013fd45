// Whether the picture of a <video> moves, and since when it does not.
import { FrameCounter } from './frames.ts';

/** Looks are half a second apart: one without a new frame is none that stands. */
const STANDS_AFTER_MS = 1000;

export class Picture {
  private readonly frames: FrameCounter;
  private lastMark = '';
  movedAtMs: number;
  /** Since the stream was chosen. */
  hasMoved = false;
  /** Since its pipeline was opened last. */
  isPlaying = false;
  /** That happened while the picture moved: what was shown last is not old yet. */
  private isChanging = false;

  constructor(
    private readonly video: HTMLVideoElement,
    nowMs: number,
    /** The first frame is there: looks are half a second apart. */
    onFirst: () => void = () => {},
  ) {
    this.frames = new FrameCounter(video, () => this.isPlaying || onFirst());
    this.movedAtMs = nowMs;
  }

  get framesPresented(): number {
    return this.frames.count;
  }

  /** It moved since the last look. */
  look(nowMs: number): boolean {
    const mark = this.mark();
    const moved = mark !== this.lastMark && this.video.readyState >= HTMLMediaElement.HAVE_CURRENT_DATA;
    this.lastMark = mark;
    if (moved) {
      this.movedAtMs = nowMs;
      this.hasMoved = this.isPlaying = true;
    }
    return moved;
  }

  isMoving(nowMs: number): boolean {
    return this.isPlaying && nowMs - this.movedAtMs < STANDS_AFTER_MS;
  }

  /** Seconds since it moved; of a pipeline that was opened because it stood, it never did. */
  idleS(nowMs: number): number {
    const isKnown = this.isPlaying || this.isChanging;
    return isKnown ? (nowMs - this.movedAtMs) / 1000 : Number.POSITIVE_INFINITY;
  }

  /** Another pipeline: it has a while to begin. */
  opened(nowMs: number): void {
    this.isChanging = this.isMoving(nowMs);
    this.isPlaying = false;
    this.shown(nowMs);
  }

  /** The page is seen again. */
  shown(nowMs: number): void {
    this.lastMark = this.mark();
    this.movedAtMs = nowMs;
  }

  stop(): void {
    this.frames.stop();
  }

  /** Differs as soon as the picture moved. A hidden page draws no frames, but its time goes on. */
  private mark(): string {
    return document.hidden ? `time ${this.video.currentTime}` : `frame ${this.frames.count}`;
  }
}

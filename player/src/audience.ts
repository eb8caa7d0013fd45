// Who watches a <video>: whether anybody sees or hears it, and whether the viewer stopped it.
import { isAudible } from './lead.ts';
import { Rest } from './rest.ts';
import type { Wish } from './wish.ts';

/** What browsers pause because its page is hidden, they pause by then. */
const BROWSERS_PAUSE_MS = 2000;

export class Audience {
  private readonly rest = new Rest();
  private hiddenAtMs = performance.now();
  /** The error itself paused it, as in Chromium. */
  private hasBrokenPaused = false;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly wish: Wish,
    private readonly beginsPlaying: () => boolean,
    signal: AbortSignal,
  ) {
    document.addEventListener('visibilitychange', () => this.onVisibility(), { signal });
    video.addEventListener('pause', () => this.onPause(), { signal });
    video.addEventListener('play', () => this.wish.plays(), { signal });
    const onError = () => {
      this.hasBrokenPaused = video.paused;
    };
    video.addEventListener('error', onError, { signal });
  }

  /** Its page is to be seen, or a window of its own (picture in picture). */
  get canSee(): boolean {
    return !document.hidden || this.isApart;
  }

  get isThere(): boolean {
    return this.canSee || isAudible(this.video);
  }

  /** Nobody has watched or listened for long. */
  isLongGone(nowMs: number): boolean {
    const { canSee, video } = this;
    return this.rest.look(nowMs, { hidden: !canSee, audible: isAudible(video), paused: video.paused });
  }

  /** Whoever did not stop it, and made or found it playing. */
  get wantsPlay(): boolean {
    return this.wish.isToPlay ?? this.beginsPlaying();
  }

  get hasPaused(): boolean {
    return this.wish.isToPlay === false;
  }

  /** The stream is opened: who does that is there. */
  returned(): void {
    this.rest.reset();
  }

  private onVisibility(): void {
    if (!document.hidden) return;
    this.hiddenAtMs = performance.now();
    if (!this.canSee) this.wish.hidden(this.hiddenAtMs);
  }

  private onPause(): void {
    // At the end, and by an error, it pauses by itself.
    if (this.video.ended || (this.video.error && this.hasBrokenPaused)) return;
    const now = performance.now();
    const isHiddenFor = now - this.hiddenAtMs;
    const byHand = this.canSee || (isAudible(this.video) && isHiddenFor > BROWSERS_PAUSE_MS);
    // What browsers do to a hidden page is no wish.
    if (byHand) this.wish.paused(now);
  }

  /** Another player's window is none of this one. */
  private get isApart(): boolean {
    const root = this.video.getRootNode() as Document | ShadowRoot;
    return root.pictureInPictureElement === this.video;
  }
}

// Who watches a <video>: whether anybody sees or hears it, and whether the viewer stopped it.
import { isAudible } from './lead.ts';
import { Rest } from './rest.ts';
import type { Wish } from './wish.ts';

/** What browsers pause because its page is hidden, they pause by then. */
const BROWSERS_PAUSE_MS = 2000;
const BROWSERS_RESUME_MS = 1000;

export class Audience {
  private readonly rest = new Rest();
  private hiddenAtMs = performance.now();
  private shownAtMs = Number.NEGATIVE_INFINITY;
  /** The one that was told of, and whether it had paused already: Chromium does that first. */
  private error: MediaError | null = null;
  private hasErrorPaused = false;
  /** The browser did, of a hidden page. */
  private hasPausedHidden = false;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly wish: Wish,
    private readonly beginsPlaying: () => boolean,
    signal: AbortSignal,
  ) {
    document.addEventListener('visibilitychange', () => this.onVisibility(), { signal });
    video.addEventListener('pause', () => this.onPause(), { signal });
    video.addEventListener('play', () => this.onPlay(), { signal });
    video.addEventListener('error', () => this.onError(), { signal });
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
    const now = performance.now();
    if (!document.hidden) {
      this.shownAtMs = now;
      return;
    }
    this.hiddenAtMs = now;
    if (!this.canSee) this.wish.hidden(now);
  }

  private onError(): void {
    this.error = this.video.error;
    this.hasErrorPaused = this.video.paused;
  }

  // Events come late: what counts is how it is now.
  private onPlay(): void {
    const { video } = this;
    if (video.paused) return;
    this.hasErrorPaused = false;
    if (this.isResumedByBrowser()) video.pause();
    else this.wish.plays();
    this.hasPausedHidden = false;
  }

  private onPause(): void {
    const { video } = this;
    // At the end, and by an error, it pauses by itself.
    if (!video.paused || video.ended || this.isPausedByError()) return;
    const now = performance.now();
    const isHiddenFor = now - this.hiddenAtMs;
    const byHand = this.canSee || (isAudible(video) && isHiddenFor > BROWSERS_PAUSE_MS);
    // What browsers do to a hidden page is no wish.
    if (byHand) this.wish.paused(now);
    else this.hasPausedHidden = true;
  }

  /** Chromium resumes what it had paused of a hidden page, also if the page stopped it meanwhile. */
  private isResumedByBrowser(): boolean {
    const { userActivation } = navigator as { userActivation?: UserActivation };
    const isBack = performance.now() - this.shownAtMs < BROWSERS_RESUME_MS;
    return this.hasPausedHidden && this.hasPaused && isBack && userActivation?.isActive === false;
  }

  private isPausedByError(): boolean {
    const { error } = this.video;
    return error !== null && (this.hasErrorPaused || error !== this.error);
  }

  /** Another player's window is none of this one. */
  private get isApart(): boolean {
    const root = this.video.getRootNode() as Document | ShadowRoot;
    return root.pictureInPictureElement === this.video;
  }
}

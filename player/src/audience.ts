// Who watches a <video>: whether anybody sees or hears it, and whether the viewer stopped it.
import { isAudible } from './lead.ts';
import { Rest } from './rest.ts';

/** What browsers pause because its page is hidden, they pause by then. */
const BROWSERS_PAUSE_MS = 2000;

export class Audience {
  private readonly rest = new Rest();
  private hiddenAtMs = performance.now();
  /** Whether it is to play, as the viewer did last; `null`: nothing yet. What browsers do to a hidden page is no wish. */
  private wish: boolean | null = null;

  constructor(
    private readonly video: HTMLVideoElement,
    signal: AbortSignal,
  ) {
    const onVisibility = () => {
      if (document.hidden) this.hiddenAtMs = performance.now();
    };
    document.addEventListener('visibilitychange', onVisibility, { signal });
    video.addEventListener('pause', () => this.onPause(), { signal });
    video.addEventListener('play', () => this.plays(), { signal });
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
    return this.wish ?? this.video.autoplay;
  }

  get hasPaused(): boolean {
    return this.wish === false;
  }

  plays(): void {
    this.wish = true;
  }

  private onPause(): void {
    // At the end it pauses by itself.
    if (this.video.ended) return;
    const isHiddenFor = performance.now() - this.hiddenAtMs;
    const byHand = this.canSee || (isAudible(this.video) && isHiddenFor > BROWSERS_PAUSE_MS);
    if (byHand) this.wish = false;
  }

  /** Another player's window is none of this one. */
  private get isApart(): boolean {
    const root = this.video.getRootNode() as Document | ShadowRoot;
    return root.pictureInPictureElement === this.video;
  }
}

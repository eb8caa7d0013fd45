// Counts the frames that reached the screen.

export class FrameCounter {
  private presented = 0;
  /** The browser's own count, which starts anew with each source. */
  private browserCount = 0;
  private handle: number | null = null;

  constructor(
    private readonly video: HTMLVideoElement,
    private readonly onFrame: () => void = () => {},
  ) {
    // Each callback announces one frame; `presentedFrames` also counts those that came between two callbacks.
    if ('requestVideoFrameCallback' in video) this.listen();
  }

  get count(): number {
    if (this.handle !== null) return this.presented;
    const { totalVideoFrames, droppedVideoFrames } = this.video.getVideoPlaybackQuality();
    return totalVideoFrames - droppedVideoFrames;
  }

  stop(): void {
    if (this.handle !== null) this.video.cancelVideoFrameCallback(this.handle);
    this.handle = null;
  }

  private listen(): void {
    this.handle = this.video.requestVideoFrameCallback((_now, frame) => {
      const before = frame.presentedFrames <= this.browserCount ? 0 : this.browserCount;
      this.presented += frame.presentedFrames - before;
      this.browserCount = frame.presentedFrames;
      this.listen();
      this.onFrame();
    });
  }
}

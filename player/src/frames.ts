// Counts the frames that reached the screen.

export class FrameCounter {
  private presented = 0;
  private handle: number | null = null;

  constructor(private readonly video: HTMLVideoElement) {
    // Each callback announces one frame; `presentedFrames` also counts those that came between two callbacks.
    if ('requestVideoFrameCallback' in video) this.listen();
  }

  get count(): number {
    if (this.handle !== null) return this.presented;
    const quality = this.video.getVideoPlaybackQuality?.();
    return quality ? quality.totalVideoFrames - quality.droppedVideoFrames : 0;
  }

  stop(): void {
    if (this.handle !== null) this.video.cancelVideoFrameCallback(this.handle);
    this.handle = null;
  }

  private listen(): void {
    this.handle = this.video.requestVideoFrameCallback((_now, frame) => {
      this.presented = frame.presentedFrames;
      this.listen();
    });
  }
}

// Whether a player is muted, as <video> has it: the attribute is the default for the first time only; from then on it is a
// state of the player, which the page and the viewer change. Pure.

type Video = Pick<HTMLVideoElement, 'muted' | 'defaultMuted'>;

export class Muting {
  private isDecided = false;

  constructor(private readonly video: Video) {}

  /** As the viewer has it: the video's own controls change it, too. */
  get muted(): boolean {
    return this.video.muted;
  }

  set muted(value: boolean) {
    this.isDecided = true;
    this.video.muted = value;
  }

  /** As the attribute has it. */
  byDefault(isMuted: boolean): void {
    this.video.defaultMuted = isMuted;
    if (!this.isDecided) this.video.muted = isMuted;
  }

  /** A stream is opened: what the default is later changes nothing. */
  begin(): void {
    this.isDecided = true;
  }
}

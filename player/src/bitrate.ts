// The bit rate of what came last. Pure.

export class Bitrate {
  private readonly measured: { bytes: number; seconds: number }[] = [];

  constructor(private readonly most: number) {}

  add(bytes: number, seconds: number): void {
    if (!Number.isFinite(seconds)) return;
    this.measured.push({ bytes, seconds });
    if (this.measured.length > this.most) this.measured.shift();
  }

  get kbps(): number | null {
    const bytes = this.measured.reduce((sum, { bytes }) => sum + bytes, 0);
    const seconds = this.measured.reduce((sum, { seconds }) => sum + seconds, 0);
    return seconds > 0 ? (bytes * 8) / 1000 / seconds : null;
  }
}

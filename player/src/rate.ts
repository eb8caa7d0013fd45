// How often something happens that is only counted. Pure: time is an argument.

const WINDOW_MS = 10_000;

export class Rate {
  private seen: { atMs: number; total: number }[] = [];

  /** Per second, of late; `null`: not known yet. */
  look(nowMs: number, total: number): number | null {
    this.seen.push({ atMs: nowMs, total });
    while (this.seen[1] && nowMs - this.seen[1].atMs >= WINDOW_MS) this.seen.shift();
    const first = this.seen[0];
    const seconds = first ? (nowMs - first.atMs) / 1000 : 0;
    return first && seconds >= 1 ? (total - first.total) / seconds : null;
  }
}

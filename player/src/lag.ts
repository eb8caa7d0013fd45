// How far what was fetched is behind the stream's end, of one that is fetched by parts. Pure: time is an argument.
import type { Parts } from './parts-playlist.ts';

export class Lag {
  private seen: { run: string; next: number; partS: number; atMs: number } | null = null;

  /** What a playlist named. */
  saw({ run, next, partS }: Parts, nowMs: number): void {
    this.seen = { run, next, partS, atMs: nowMs };
  }

  /** In seconds; `next`: the part of this run that is fetched next. `newsAtMs`: when the last one came, as a stream that is silent
   * does not grow. */
  of(run: string | undefined, next: number | undefined, newsAtMs: number): number {
    const { seen } = this;
    if (!seen || next === undefined || seen.run !== run) return 0;
    const passedS = Math.max(0, newsAtMs - seen.atMs) / 1000;
    return Math.max(0, (seen.next - next) * seen.partS + passedS);
  }
}

// How far what was fetched is behind the stream's end, of one that is fetched by parts. Pure: time is an argument.
import type { Parts } from './parts-playlist.ts';

/** What is fetched: the next part's number, and the run's time at which it begins. */
export interface Fetched {
  run: string;
  next: number;
  startS: number;
}

/** Of a part, where many of them are counted. */
export function meanS({ listed, partS }: Pick<Parts, 'listed' | 'partS'>): number {
  const sum = listed.reduce((seconds, { durationS }) => seconds + durationS, 0);
  return listed.length > 0 ? sum / listed.length : partS;
}

export class Lag {
  private seen: { run: string; next: number; meanS: number; atMs: number } | null = null;
  /** What was missing at the first look at what was fetched then. */
  private base: { missingS: number; startS: number } | null = null;

  /** What a playlist named. */
  saw(parts: Parts, nowMs: number): void {
    this.seen = { run: parts.run, next: parts.next, meanS: meanS(parts), atMs: nowMs };
    this.base = null;
  }

  /** In seconds. `newsAtMs`: when the last part came, as a stream that is silent does not grow. */
  of(fetched: Fetched | null, newsAtMs: number): number {
    const { seen } = this;
    if (!seen || fetched?.run !== seen.run) return 0;
    // From there on it is measured: parts may become longer or shorter.
    this.base ??= { missingS: (seen.next - fetched.next) * seen.meanS, startS: fetched.startS };
    const { missingS, startS } = this.base;
    const passedS = Math.max(0, newsAtMs - seen.atMs) / 1000;
    return Math.max(0, missingS + passedS - (fetched.startS - startS));
  }
}

// When the agent's word on the stream is asked for. Pure: time is an argument.
import { Backoff } from './recovery.ts';

/** While there is no picture it may tell why, so it is asked for again. */
const WHILE_STILL_MS = 15_000;
/** One that could not be had. */
const FIRST_PAUSE_MS = 5000;
const MOST_PAUSE_MS = 60_000;
const MOST_PAUSES = 6;
/** Where there was none an agent may only be about to put one: 20 s and 60 s after the first ask. */
const NONE_PAUSES_MS: readonly number[] = [20_000, 40_000];
/** What it said may be over soon. */
const FOR_NOW_MS = 60_000;

export class SheetTimes {
  private readonly pauses = new Backoff(FIRST_PAUSE_MS, MOST_PAUSE_MS);
  private askedMs = Number.NEGATIVE_INFINITY;
  private againMs = Number.NEGATIVE_INFINITY;
  private failures = 0;
  private nones = 0;
  private isForNow = false;

  isDue(nowMs: number, isMoving: boolean): boolean {
    return nowMs >= this.againMs || (!isMoving && nowMs - this.askedMs >= WHILE_STILL_MS);
  }

  asked(nowMs: number): void {
    this.askedMs = nowMs;
    this.againMs = Number.POSITIVE_INFINITY;
  }

  /** It is here; `forNow`: it says something that is to be looked after. */
  answered(nowMs: number, forNow = false): void {
    this.failures = MOST_PAUSES;
    this.isForNow = forNow;
    if (forNow) this.againMs = nowMs + FOR_NOW_MS;
  }

  /** There is none, or none that can be used. */
  none(nowMs: number): void {
    this.answered(nowMs, this.isForNow);
    const pauseMs = NONE_PAUSES_MS[this.nones++];
    if (pauseMs !== undefined) this.againMs = nowMs + pauseMs;
  }

  /** Nobody answered, or not as one who knows. */
  failed(nowMs: number): void {
    if (this.isForNow) this.againMs = nowMs + FOR_NOW_MS;
    this.failures += 1;
    if (this.failures <= MOST_PAUSES) this.againMs = nowMs + this.pauses.next();
  }
}

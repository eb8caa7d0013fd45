// When parts are tried again, where a stream in parts is played by whole segments. Pure: time is an argument.
import { Backoff } from './recovery.ts';

const AFTER_TROUBLE_MS = 60_000;
/** Nothing is wrong with them: they were not there yet, or nobody told of them in time. */
const AFTER_OFFER_MS = 4000;
const MOST_MS = 30 * 60_000;
/** Parts that played so long were no trouble: what was before is forgotten. */
const FORGETS_MS = 10 * 60_000;

export class Comeback {
  private readonly afterTrouble = new Backoff(AFTER_TROUBLE_MS, MOST_MS);
  private readonly afterOffer = new Backoff(AFTER_OFFER_MS, MOST_MS);
  private hadTrouble = false;
  /** `null`: there is nothing to come back to. */
  private dueMs: number | null = null;
  private beganMs: number | null = null;
  /** It was played by parts in this view: there may be some again, whoever tells of them. */
  hasBegun = false;

  /** It is played by parts. */
  began(nowMs: number): void {
    this.beganMs = nowMs;
    this.hasBegun = true;
    this.dueMs = null;
    this.afterOffer.reset();
  }

  /** They did not play. */
  left(nowMs: number): void {
    if (this.beganMs !== null && nowMs - this.beganMs >= FORGETS_MS) this.afterTrouble.reset();
    this.beganMs = null;
    this.hadTrouble = true;
    this.dueMs = nowMs + this.afterTrouble.next();
  }

  /** What plays instead does not either: nothing is lost by another try. */
  othersFailed(nowMs: number): void {
    if (this.dueMs !== null) this.dueMs = Math.min(this.dueMs, nowMs);
  }

  /** The stream is said to have some, and it is played by something else. */
  offered(nowMs: number): void {
    if (this.dueMs !== null) return;
    this.dueMs = nowMs;
    this.hadTrouble = false;
  }

  /** After trouble nobody begins with them before it is time. */
  isBarred(nowMs: number): boolean {
    return this.hadTrouble && this.dueMs !== null && nowMs < this.dueMs;
  }

  isDue(nowMs: number): boolean {
    return this.dueMs !== null && nowMs >= this.dueMs;
  }

  /** It is looked whether they can be had: if not, then again after this. */
  tried(nowMs: number): void {
    this.dueMs = nowMs + (this.hadTrouble ? this.afterTrouble : this.afterOffer).next();
  }
}

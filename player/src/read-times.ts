// When the playlist of a stream in parts is read. Pure: time is an argument.
import { Backoff } from './recovery.ts';

/** Also while all is well: steps of the wall clock, a run's end, and what else it says. */
const WHILE_WELL_MS = 10_000;
const FIRST_MS = 400;
/** A restart takes some seconds; a stream that is silent for longer is asked for less often, and after a minute seldom. */
const SOON_MS = 500;
const MOST_MS = 1000;
const SELDOM_MS = 5000;
const SILENT_MS = 10_000;
const LONG_SILENT_MS = 60_000;

export class ReadTimes {
  private atMs = 0;
  private readonly pauses = new Backoff(FIRST_MS, SELDOM_MS);

  isDue(nowMs: number): boolean {
    return nowMs >= this.atMs;
  }

  /** At the next look. */
  soon(): void {
    this.atMs = 0;
  }

  /** All that it tells is known. */
  known(nowMs: number): void {
    this.atMs = nowMs + WHILE_WELL_MS;
  }

  /** It was read, or could not be. */
  tried(nowMs: number, isWell: boolean, newsAtMs: number): void {
    const most = mostPauseMs(nowMs - newsAtMs);
    this.atMs = nowMs + (isWell ? WHILE_WELL_MS : Math.min(most, this.pauses.next()));
  }

  /** Something came: the next silence is a new one. */
  reset(): void {
    this.pauses.reset();
  }
}

function mostPauseMs(silentMs: number): number {
  if (silentMs > LONG_SILENT_MS) return SELDOM_MS;
  return silentMs > SILENT_MS ? MOST_MS : SOON_MS;
}

// When the next part will be in the store, learnt from when the ones before it were. Pure: time is an argument.
//
// Parts follow each other in the run's time, and so do their arrivals, but for what the network adds. Asked too early, a
// request is in vain; asked too late, the picture is later than it could be. A request that was not in vain moves the next
// one a little earlier, one in vain moves it later by a share of what it came too early. So about one in four is in vain
// on an even path. On one with jitter it asks when most parts are there: the buffer has to wait for the late ones anyway.

/** What a success at the first request takes off; after some in a row each takes twice as much as the one before. */
const EARLIER_MS = 3;
const IN_ROW = 5;
const EARLIER_MOST_MS = 60;
/** A timer that was so late on a busy machine still tells; of a page that sleeps it does not. */
const ON_TIME_MS = 100;
/** A share of the time for which a part was asked for in vain is put on. */
const SHARE = 0.3;
const LATER_MOST_MS = 15;
/** That is no jitter: it begins anew. */
const BREAK_MS = 1000;

export class PartClock {
  /** From the time in the run to the time at which its part is there. */
  private phaseMs: number | null = null;
  private inRow = 0;

  /** `null`: not known yet. */
  dueAtMs(endS: number): number | null {
    return this.phaseMs === null ? null : this.phaseMs + endS * 1000;
  }

  /** A part that was there when it was asked for, nobody knows since when. */
  wasThere(endS: number, sentMs: number): void {
    const phase = sentMs - endS * 1000;
    if (this.phaseMs !== null) this.phaseMs = Math.min(this.phaseMs, phase);
  }

  /** A part whose first request was sent at `askedMs`, and the one that brought it at `sentMs`. */
  came(endS: number, askedMs: number, sentMs: number): void {
    const phase = sentMs - endS * 1000;
    const waitedMs = sentMs - askedMs;
    if (this.phaseMs === null || waitedMs > BREAK_MS) this.phaseMs = phase;
    else if (waitedMs > 0) {
      this.phaseMs += Math.min(LATER_MOST_MS, SHARE * waitedMs);
      this.inRow = 0;
    } else if (phase <= this.phaseMs + ON_TIME_MS) this.phaseMs = Math.min(phase, this.phaseMs - this.step());
  }

  private step(): number {
    this.inRow += 1;
    return Math.min(EARLIER_MOST_MS, EARLIER_MS * 2 ** Math.max(0, this.inRow - IN_ROW));
  }
}

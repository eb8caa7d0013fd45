// When the next part will be in the store, learnt from when the ones before it were. Pure: time is an argument.
//
// Parts follow each other in the run's time, and so do their arrivals, but for what the network adds. Asked too early, a
// request is in vain and the part comes a round trip later than it could; asked too late, the picture is later than it
// could be. A request that was not in vain moves the next one a little earlier, until one is in vain: that moves it later,
// and for a while it stays above what was too early. So on an even path a request is in vain now and then only. On one
// with jitter it asks when most parts are there: the buffer has to wait for the late ones anyway.

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
/** What was too early is not tried again for so long, and for twice as long each time that it is too early still. */
const BARRED_LEAST_MS = 10_000;
const BARRED_MOST_MS = 80_000;
/** Two requests in vain. */
const BARRED_WAIT_MS = 120;
/** So near to the last one it is the same. */
const SAME_MS = 20;
/** Timers are not more exact than that. */
const MARGIN_MS = 8;

export class PartClock {
  /** From the time in the run to the time at which its part is there. */
  private phaseMs: number | null = null;
  private inRow = 0;
  /** A phase at which parts are not there yet. */
  private bar: { phaseMs: number; lastsMs: number; untilMs: number } | null = null;

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
    if (this.phaseMs === null || waitedMs > BREAK_MS) {
      this.phaseMs = phase;
      this.bar = null;
    } else if (waitedMs > 0) {
      // One that was later still says nothing of when the others are there.
      if (waitedMs <= BARRED_WAIT_MS) this.barAt(askedMs - endS * 1000, sentMs);
      this.phaseMs += Math.min(LATER_MOST_MS, SHARE * waitedMs);
      this.inRow = 0;
    } else if (phase <= this.phaseMs + ON_TIME_MS) this.earlier(phase, this.phaseMs, sentMs);
  }

  private earlier(phase: number, before: number, nowMs: number): void {
    this.inRow += 1;
    const step = Math.min(EARLIER_MOST_MS, EARLIER_MS * 2 ** Math.max(0, this.inRow - IN_ROW));
    const wanted = Math.min(phase, before - step);
    const least = this.bar && nowMs < this.bar.untilMs ? this.bar.phaseMs + MARGIN_MS : wanted;
    this.phaseMs = Math.max(wanted, Math.min(least, before));
    // When it may go on, it does so with small steps.
    if (wanted < least) this.inRow = 0;
  }

  private barAt(phaseMs: number, nowMs: number): void {
    const lastsMs = this.bar === null ? BARRED_LEAST_MS : lasts(phaseMs - this.bar.phaseMs, this.bar.lastsMs);
    this.bar = { phaseMs, lastsMs, untilMs: nowMs + lastsMs };
  }
}

/** Of a bar so far above the one before. */
function lasts(above: number, before: number): number {
  if (Math.abs(above) >= SAME_MS) return BARRED_LEAST_MS;
  // Where what was well becomes too early, it may have been one late part.
  return above > MARGIN_MS / 2 ? before : Math.min(BARRED_MOST_MS, 2 * before);
}

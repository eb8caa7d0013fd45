// When a stream that nobody watches is let go. Pure: time is an argument.
//
// A hidden tab that goes on fetching costs requests, and keeps cameras running that start on demand.

export interface Audience {
  /** The page is not to be seen; a picture of its own (picture in picture) is. */
  hidden: boolean;
  audible: boolean;
  paused: boolean;
}

export const RESTS_AFTER_MS = 60_000;

export class Rest {
  private alone: number | null = null;

  /** From now on it counts anew. */
  reset(): void {
    this.alone = null;
  }

  /** Nobody has watched or listened for long. */
  look(nowMs: number, { hidden, audible, paused }: Audience): boolean {
    const isWatched = !paused && (!hidden || audible);
    this.alone = isWatched ? null : (this.alone ?? nowMs);
    return this.alone !== null && nowMs - this.alone >= RESTS_AFTER_MS;
  }
}

// When to give the stream another try. Pure: time is an argument.

/** Exponential backoff between attempts. */
export class Backoff {
  private attempts = 0;

  constructor(
    private readonly firstMs: number,
    private readonly maxMs: number,
  ) {}

  next(): number {
    return Math.min(this.maxMs, this.firstMs * 2 ** Math.min(this.attempts++, 20));
  }

  reset(): void {
    this.attempts = 0;
  }
}

const FIRST_PATIENCE_MS = 10_000;
const LAST_PATIENCE_MS = 60_000;
/** A picture that moved this long was no accident. */
const STABLE_MS = 30_000;

/** A playlist that answered this long ago is answering. */
const ANSWERING_MS = 15_000;

/** What a segment's upload may take longer than the one before. */
const LATE_S = 1;

/**
 * The playlist is read but names nothing new since the picture stopped: the camera's end is silent, and a new
 * pipeline would only show the last seconds again.
 */
export function sourceIsSilent(
  nowMs: number,
  movedAtMs: number,
  answeredAtMs: number,
  newsAtMs: number,
): boolean {
  return nowMs - answeredAtMs < ANSWERING_MS && newsAtMs < movedAtMs;
}

/** Somebody answered since the picture stopped: it is not the network that it stands for. */
export function standsThoughAnswered(movedAtMs: number, answeredAtMs: number): boolean {
  return answeredAtMs > movedAtMs;
}

/** It names new segments as it should: another way to play it has something to show. */
export function goesOn(nowMs: number, newsAtMs: number, segmentS: number): boolean {
  return nowMs - newsAtMs < 1000 * (LATE_S + 1.5 * segmentS);
}

/**
 * The last rung: whatever hls.js and the browser believe, a picture that does not move gets a new pipeline.
 */
export class Watchdog {
  private readonly patience = new Backoff(FIRST_PATIENCE_MS, LAST_PATIENCE_MS);
  private limitMs: number;
  private quietSinceMs: number;
  private movingSinceMs: number | null = null;

  constructor(nowMs: number) {
    this.quietSinceMs = nowMs;
    this.limitMs = this.patience.next();
  }

  /** `moved`: the picture moved since the last call, or nobody expects it to (paused, hidden). */
  shouldReopen(nowMs: number, moved: boolean): boolean {
    if (moved) {
      this.quietSinceMs = nowMs;
      this.movingSinceMs ??= nowMs;
      if (nowMs - this.movingSinceMs >= STABLE_MS) {
        this.patience.reset();
        this.limitMs = this.patience.next();
        this.movingSinceMs = nowMs;
      }
      return false;
    }
    if (nowMs - this.quietSinceMs < this.limitMs) {
      // A still moment between two frames does not end a stable run; a long one does.
      if (nowMs - this.quietSinceMs > 2000) this.movingSinceMs = null;
      return false;
    }
    this.quietSinceMs = nowMs;
    this.movingSinceMs = null;
    this.limitMs = this.patience.next();
    return true;
  }
}

// How well it plays, in the few numbers that operators watch, and which of them are worth an alert. Pure.

export interface Thresholds {
  /** Seconds until the first picture. */
  start: number;
  /** Part of the last five minutes that the viewer waited for data, after the first picture. */
  buffering: number;
  /** Part of the requests that failed. */
  errors: number;
}

export const USUAL_THRESHOLDS: Thresholds = { start: 5, buffering: 0.1, errors: 0.05 };

export type Alert = keyof Thresholds;

/** Times in seconds, ratios from 0 to 1. */
export interface Report {
  src: string | null;
  state: string;
  /** `null`: there was none yet. */
  firstPicture: number | null;
  watched: number;
  stalls: number;
  stallRatio: number;
  requests: number;
  failedRequests: number;
  errorRatio: number;
  latency: { median: number; p95: number } | null;
  alerts: Alert[];
}

/** `start=5 buffering=0.1 errors=0.05`; what is left out or makes no sense stays as it usually is. */
export function parseThresholds(text: string | null): Thresholds {
  const found = { ...USUAL_THRESHOLDS };
  for (const [, key, value] of (text ?? '').matchAll(/(start|buffering|errors)\s*=\s*(\d+(?:\.\d+)?)/g)) {
    found[key as Alert] = Number(value);
  }
  return found;
}

const LATENCIES_KEPT = 600;
/** One failure of three says nothing yet. */
const FEWEST_REQUESTS = 20;
const FEWEST_SECONDS = 10;
/** What was long ago is no reason for an alert. */
const RECENT_MS = 5 * 60_000;
const SLICE_MS = 10_000;
const START_TOLD_MS = 60_000;
/** Two looks are half a second apart; more was a machine that slept. */
const MOST_STEP_MS = 2000;

/** A few seconds of watching. */
interface Slice {
  fromMs: number;
  watchedMs: number;
  stalledMs: number;
}

/** Collects for one stream since it was chosen. */
export class Quality {
  private firstPictureS: number | null = null;
  private watchedMs = 0;
  private recent: Slice[] = [];
  private lastMs: number;
  private latencies: number[] = [];

  constructor(private readonly openedMs: number) {
    this.lastMs = openedMs;
  }

  /** `excused`: nobody expects a picture (paused, hidden, nothing to play). */
  look(nowMs: number, seen: { moving: boolean; excused: boolean; latency: number | null }): void {
    const passed = Math.min(nowMs - this.lastMs, MOST_STEP_MS);
    this.lastMs = nowMs;
    if (this.firstPictureS === null) {
      if (seen.moving) this.firstPictureS = (nowMs - this.openedMs) / 1000;
      return;
    }
    if (seen.excused) return;
    this.watchedMs += passed;
    const slice = this.sliceOf(nowMs);
    slice.watchedMs += passed;
    if (!seen.moving) slice.stalledMs += passed;
    else if (seen.latency !== null) this.keep(seen.latency);
  }

  report(
    nowMs: number,
    limits: Thresholds,
    counts: { src: string | null; state: string; stalls: number; requests: number; failedRequests: number },
  ): Report {
    const sum = (key: 'watchedMs' | 'stalledMs') => this.recent.reduce((all, slice) => all + slice[key], 0);
    const [watched, stalled] = [sum('watchedMs'), sum('stalledMs')];
    const stallRatio = watched ? stalled / watched : 0;
    const errorRatio = counts.requests ? counts.failedRequests / counts.requests : 0;
    const alerts: Alert[] = [];
    const startS = this.firstPictureS ?? (nowMs - this.openedMs) / 1000;
    const isNew = nowMs - this.openedMs < 1000 * startS + START_TOLD_MS;
    if (startS > limits.start && isNew) alerts.push('start');
    if (watched >= FEWEST_SECONDS * 1000 && stallRatio > limits.buffering) alerts.push('buffering');
    if (counts.requests >= FEWEST_REQUESTS && errorRatio > limits.errors) alerts.push('errors');
    return {
      ...counts,
      firstPicture: this.firstPictureS,
      watched: this.watchedMs / 1000,
      stallRatio,
      errorRatio,
      latency: this.latency(),
      alerts,
    };
  }

  private sliceOf(nowMs: number): Slice {
    this.recent = this.recent.filter(({ fromMs }) => nowMs - fromMs < RECENT_MS);
    const last = this.recent.at(-1);
    if (last && nowMs - last.fromMs < SLICE_MS) return last;
    const slice = { fromMs: nowMs, watchedMs: 0, stalledMs: 0 };
    this.recent.push(slice);
    return slice;
  }

  private keep(latency: number): void {
    this.latencies.push(latency);
    if (this.latencies.length > LATENCIES_KEPT) this.latencies.shift();
  }

  private latency(): Report['latency'] {
    const sorted = [...this.latencies].sort((a, b) => a - b);
    const at = (part: number) => sorted[Math.min(sorted.length - 1, Math.floor(part * sorted.length))];
    const [median, p95] = [at(0.5), at(0.95)];
    return median === undefined || p95 === undefined ? null : { median, p95 };
  }
}

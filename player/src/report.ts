// How well it plays, in the few numbers that operators watch, and which of them are worth an alert. Pure.

export interface Thresholds {
  /** Seconds that the viewer waited for the first picture. */
  start: number;
  /** Part of the last five minutes that the viewer waited for data, after the first picture. */
  buffering: number;
  /** Part of the last five minutes' requests that failed. */
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
  /** Since the stream was chosen, as requests and those that failed; the ratios are of the last five minutes. */
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

/** What the player sees at one look; the counts are those since the stream was chosen. */
export interface Look {
  /** There was a new picture within the last second. */
  moving: boolean;
  /** That it stood for want of data until now, however short a time each. */
  waitedMs: number;
  /** Nobody expects a picture (paused, hidden, nothing to play). */
  excused: boolean;
  latency: number | null;
  requests: number;
  failedRequests: number;
}

interface Told {
  src: string | null;
  state: string;
  stalls: number;
}

/** A few seconds of watching. */
interface Slice {
  fromMs: number;
  watchedMs: number;
  stalledMs: number;
  requests: number;
  failedRequests: number;
}

/** Collects for one stream since it was chosen. */
export class Quality {
  /** That the viewer waited for the first picture. */
  private waitedMs = 0;
  private firstPictureAtMs: number | null = null;
  private wasExcused = false;
  private watchedMs = 0;
  private recent: Slice[] = [];
  private lastMs: number;
  private counted = { requests: 0, failedRequests: 0 };
  private countedWaitMs = 0;
  private latencies: number[] = [];

  constructor(openedMs: number) {
    this.lastMs = openedMs;
  }

  look(nowMs: number, seen: Look): void {
    const passedMs = Math.min(nowMs - this.lastMs, MOST_STEP_MS);
    this.lastMs = nowMs;
    const slice = this.sliceOf(nowMs);
    const stoodMs = Math.min(seen.waitedMs - this.countedWaitMs, passedMs);
    this.countedWaitMs = seen.waitedMs;
    this.count(seen, slice);
    if (this.firstPictureAtMs === null) this.await(nowMs, passedMs, seen);
    else if (!seen.excused) this.watch(passedMs, stoodMs, seen, slice);
    this.wasExcused = seen.excused;
  }

  report(nowMs: number, limits: Thresholds, told: Told): Report {
    const { watchedMs, stalledMs, requests, failedRequests } = this.sums();
    const stallRatio = watchedMs ? stalledMs / watchedMs : 0;
    const errorRatio = requests ? failedRequests / requests : 0;
    const alerts: Alert[] = [];
    const isNew = this.firstPictureAtMs === null || nowMs - this.firstPictureAtMs < START_TOLD_MS;
    if (this.waitedMs > 1000 * limits.start && isNew) alerts.push('start');
    if (watchedMs >= FEWEST_SECONDS * 1000 && stallRatio > limits.buffering) alerts.push('buffering');
    if (requests >= FEWEST_REQUESTS && errorRatio > limits.errors) alerts.push('errors');
    return {
      ...told,
      ...this.counted,
      firstPicture: this.firstPictureAtMs === null ? null : this.waitedMs / 1000,
      watched: this.watchedMs / 1000,
      stallRatio,
      errorRatio,
      latency: this.latency(),
      alerts,
    };
  }

  private count({ requests, failedRequests }: Look, slice: Slice): void {
    slice.requests += requests - this.counted.requests;
    slice.failedRequests += failedRequests - this.counted.failedRequests;
    this.counted = { requests, failedRequests };
  }

  /** A hidden page looks seldom: of the time between two looks nobody waited if that was so at one of them. */
  private await(nowMs: number, passedMs: number, { moving, excused }: Look): void {
    if (!excused && !this.wasExcused) this.waitedMs += passedMs;
    if (moving) this.firstPictureAtMs = nowMs;
  }

  /** A picture may also stand for another reason than want of data. */
  private watch(passedMs: number, stoodMs: number, { moving, latency }: Look, slice: Slice): void {
    this.watchedMs += passedMs;
    slice.watchedMs += passedMs;
    slice.stalledMs += moving ? stoodMs : passedMs;
    if (moving && latency !== null) this.keep(latency);
  }

  private sliceOf(nowMs: number): Slice {
    this.recent = this.recent.filter(({ fromMs }) => nowMs - fromMs < RECENT_MS);
    const last = this.recent.at(-1);
    if (last && nowMs - last.fromMs < SLICE_MS) return last;
    const slice = { fromMs: nowMs, watchedMs: 0, stalledMs: 0, requests: 0, failedRequests: 0 };
    this.recent.push(slice);
    return slice;
  }

  private sums(): Omit<Slice, 'fromMs'> {
    const sum = (key: keyof Slice) => this.recent.reduce((all, slice) => all + slice[key], 0);
    return {
      watchedMs: sum('watchedMs'),
      stalledMs: sum('stalledMs'),
      requests: sum('requests'),
      failedRequests: sum('failedRequests'),
    };
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

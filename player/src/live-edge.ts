// Keeps playback as near to the live edge as the stream's arrivals allow. Pure: time is an argument.
//
// It knows no clock of the camera's. The lag of the playhead is `now - currentTime`, that of the buffer's end
// `now - end`; the difference is what lies ahead. The greatest lag of the end in a window longer than a segment, so
// just before segments come, gives the low-water mark of the buffer at today's lag, whatever the rate was meanwhile.
// That mark is kept at a floor, by a playback rate that nobody hears.

/** What the controller sees at one look. */
export interface Sight {
  nowMs: number;
  currentTime: number;
  /** As `video.buffered` has it. */
  buffered: readonly (readonly [number, number])[];
  /** It should be moving: not paused, ended or seeking. */
  playing: boolean;
  /** It stands for want of data. */
  waiting: boolean;
  /** Somebody listens: the tempo has to stay one that is not heard in music. */
  audible: boolean;
}

export interface Move {
  rate: number;
  /** Where to jump, and why. */
  seek: { to: number; why: 'behind' | 'hole' | 'stuck' } | null;
}

/** Of a stream and its profile. */
export interface Pace {
  segmentS: number;
  /** Kept ahead beyond the floor: for uplinks that falter. */
  reserveS: number;
  audibleRate: number;
  /** What the floor is made of, if not of the segments' length. */
  floor?: Floor;
}

/** In seconds. */
export interface Floor {
  usual: number;
  least: number;
  most: number;
  /** What each stall adds. */
  step: number;
}

/** Of parts, which come evenly or are not waited for. */
export const PARTS_FLOOR: Floor = { usual: 0.1, least: 0.06, most: 1, step: 0.04 };
/** Sound that is heard comes in packets, less evenly than pictures, and is decoded farther ahead. */
export const HEARD_PARTS_FLOOR: Floor = { usual: 0.2, least: 0.12, most: 1, step: 0.04 };

export const USUAL_PACE: Pace = { segmentS: 2, reserveS: 0, audibleRate: 1.04 };

const MAX_RATE = 1.25;
const MIN_RATE = 0.97;
/** While the picture stands and nobody hears: until there is enough ahead again. */
const DRY_RATE = 0.5;
/** Silence goes on beyond the picture's end: past this the picture stands. */
const DRY_S = 0.03;
/** Of what is too much, per second. */
const GAIN = 0.3;
const QUIET_BEFORE_SINKING_MS = 15_000;
/** How fast the floor forgets, in seconds per second. */
const SINKS = 0.005;
/** Jitter that was seen counts for so long: a segment in five that is late is among them. */
const JITTER_SEGMENTS = 10;
const JITTER_LEAST_MS = 15_000;
/** While the player still looks for the right moment to ask, arrivals tell of that, not of jitter. */
const SEARCHING_SEGMENTS = 6;
/** Nothing new for so many segments: the store or the camera was away, and what comes late behind that is no jitter either. */
const AWAY_SEGMENTS = 4;
const AWAY_LEAST_MS = 2000;
const RECOVERING_SEGMENTS = 14;
/** Looks this far apart (a hidden page, a machine asleep) have not seen when segments came. */
const BLIND_MS = 1000;
const BETWEEN_SEEKS_MS = 3000;
/** Who is back is taken to the edge for so long, if it is so far away; arrivals of that time say nothing. */
const BACK_MS = 1000;
const BACK_S = 0.5;
/** The picture stands at the end of a range for so long before it jumps to the next. */
const AT_HOLE_MS = 150;
/**
 * Chromium doubles with each stall what it wants to have of sound before it goes on, up to 3 s. A seek takes it back to
 * the first 0.2 s.
 */
const STUCK_AHEAD_S = 0.25;
const STUCK_MS = 80;
const BETWEEN_KICKS_MS = 1000;

interface Peak {
  atMs: number;
  lag: number;
  isJitter: boolean;
}

export class LiveEdge {
  private pace = USUAL_PACE;
  private floor = floorOf(USUAL_PACE);
  /** Lags of the buffer's end just before it grew. */
  private peaks: Peak[] = [];
  private last: { nowMs: number; end: number } | null = null;
  private grewAtMs = 0;
  private arrivals = 0;
  private base = 0;
  private jitter = 0;
  private stalledAtMs = Number.NEGATIVE_INFINITY;
  private soughtAtMs = Number.NEGATIVE_INFINITY;
  private holeSinceMs: number | null = null;
  private stuckSinceMs: number | null = null;
  private kickedAtMs = Number.NEGATIVE_INFINITY;
  /** `Infinity`: from the next look on. */
  private backUntilMs = Number.NEGATIVE_INFINITY;
  private settledAtMs = Number.NEGATIVE_INFINITY;
  private rate = 1;
  /** The picture stands while its silence goes on: the browser does not tell of that. */
  isDry = false;
  private excess: number | null = null;

  constructor(pace: Pace = USUAL_PACE) {
    this.paceIs(pace);
  }

  /** The stream turned out to be another one than was thought. */
  paceIs(pace: Pace): void {
    const [longer, shorter] = [pace.segmentS, this.pace.segmentS].sort((a, b) => b - a) as [number, number];
    // A floor of its own is none of the segments'.
    const isTied = pace.floor === undefined || this.pace.floor === undefined;
    const isOther = isTied && longer > 1.2 * shorter;
    const isHeardOtherwise = pace.floor !== this.pace.floor;
    const { usual } = this.floor;
    this.floor = floorOf(pace);
    if (isOther || this.base === 0) this.base = this.floor.usual;
    else if (isHeardOtherwise) this.rebase(this.floor.usual - usual);
    this.pace = pace;
  }

  /** Another floor under the same stream: what stalls taught stays, and the change itself is no jitter. */
  private rebase(byS: number): void {
    this.base = Math.max(this.floor.least, Math.min(this.floor.most, this.base + byS));
    this.arrivals = 0;
    this.forget();
  }

  /** What is to lie ahead when it is least. */
  get floorS(): number {
    const unknown = this.arrivals > SEARCHING_SEGMENTS ? 0 : this.pace.segmentS / 4;
    return this.pace.reserveS + this.base + this.jitter + unknown;
  }

  /** The picture had to wait. */
  stalled(nowMs: number): void {
    this.base = Math.min(this.floor.most, this.base + this.floor.step);
    this.stalledAtMs = nowMs;
  }

  /** The viewer is back, or the stream, or it is to be live: at once, not by tempo. */
  returned(): void {
    this.backUntilMs = Number.POSITIVE_INFINITY;
    this.forget();
  }

  look(seen: Sight): Move {
    const end = seen.buffered.at(-1)?.[1];
    if (end === undefined || !seen.playing) {
      this.holeSinceMs = null;
      this.last = null;
      return this.steady();
    }
    if (this.backUntilMs === Number.POSITIVE_INFINITY) this.backUntilMs = seen.nowMs + BACK_MS;
    const hole = this.jumpOver(seen);
    if (hole !== null) return { rate: this.rate, seek: { to: hole, why: 'hole' } };
    const way = this.wayOut(seen);
    if (way !== null) return { rate: this.rate, seek: { to: way, why: 'stuck' } };
    this.observe(seen.nowMs, end);
    this.seeDry(seen, end);
    const lag = seen.nowMs / 1000 - seen.currentTime;
    this.settle(seen.nowMs);
    this.excess = lag - this.worst(seen.nowMs, end) - this.floorS;
    return this.isFar(seen.nowMs) ? this.jump(seen, end) : this.adjust(seen.audible);
  }

  private seeDry({ nowMs, currentTime, waiting }: Sight, end: number): void {
    const isDry = this.pace.floor !== undefined && !waiting && currentTime > end + DRY_S;
    if (isDry && !this.isDry) this.stalled(nowMs);
    this.isDry = isDry;
  }

  private steady(): Move {
    this.rate = 1;
    return { rate: 1, seek: null };
  }

  private forget(): void {
    this.peaks = [];
    this.last = null;
  }

  private observe(nowMs: number, end: number): void {
    const { last } = this;
    this.last = { nowMs, end };
    if (!last || nowMs - last.nowMs > BLIND_MS || end < last.end - 0.05) {
      this.peaks = [];
      this.grewAtMs = nowMs;
      return;
    }
    if (end < last.end + 0.01) return;
    if (nowMs - this.grewAtMs > Math.max(AWAY_LEAST_MS, AWAY_SEGMENTS * 1000 * this.pace.segmentS)) {
      this.peaks = [];
      this.arrivals = -RECOVERING_SEGMENTS;
    }
    // The first ones come in a row; they say nothing of the cadence.
    if (nowMs - this.grewAtMs > 300 * this.pace.segmentS && nowMs > this.backUntilMs) {
      this.arrivals += 1;
      const isJitter = this.arrivals > SEARCHING_SEGMENTS;
      this.peaks.push({ atMs: nowMs, lag: nowMs / 1000 - last.end, isJitter });
    }
    this.grewAtMs = nowMs;
    const since = nowMs - Math.max(JITTER_LEAST_MS, JITTER_SEGMENTS * 1000 * this.pace.segmentS);
    while (this.peaks[0] && this.peaks[0].atMs < since) this.peaks.shift();
  }

  /** The greatest lag of the end within the last segment or two. */
  private worst(nowMs: number, end: number): number {
    const windowMs = Math.max(1500, 1250 * this.pace.segmentS + 250);
    const recent = this.peaks.filter(({ atMs }) => atMs >= nowMs - windowMs).map(({ lag }) => lag);
    const now = nowMs / 1000 - end;
    // Until that was seen: the next one is asked for when it is due, and again half a segment later.
    const expected = this.grewAtMs / 1000 + 1.5 * this.pace.segmentS - end;
    return recent.length ? Math.max(now, ...recent) : Math.max(now, expected);
  }

  /** Jitter lifts the floor at once; both parts of it sink slowly. */
  private settle(nowMs: number): void {
    const lags = this.peaks.filter(({ isJitter }) => isJitter).map(({ lag }) => lag);
    const newest = Math.max(...lags.slice(-2));
    // Later than that was an outage.
    const spreads = lags.map((lag) => lag - newest).filter((spread) => spread < this.floor.most);
    const seen = lags.length > 2 ? Math.max(0, ...spreads) : 0;
    const step = (SINKS * Math.min(BLIND_MS, nowMs - this.settledAtMs)) / 1000;
    this.settledAtMs = nowMs;
    this.jitter = Math.max(seen, this.jitter - 4 * step);
    if (nowMs - this.stalledAtMs > QUIET_BEFORE_SINKING_MS)
      this.base = Math.max(this.floor.least, this.base - step);
  }

  private isFar(nowMs: number): boolean {
    const excess = this.excess ?? 0;
    if (nowMs < this.backUntilMs && excess > BACK_S) return true;
    return excess > farBehind(this.pace) && nowMs - this.soughtAtMs > BETWEEN_SEEKS_MS;
  }

  private jump(seen: Sight, end: number): Move {
    this.soughtAtMs = seen.nowMs;
    this.rate = 1;
    const wanted = seen.currentTime + (this.excess ?? 0);
    const start = seen.buffered.at(-1)?.[0] ?? 0;
    const to = Math.max(start + 0.05, Math.min(wanted, end - 0.1));
    this.excess = 0;
    return { rate: 1, seek: to > seen.currentTime ? { to, why: 'behind' } : null };
  }

  private adjust(audible: boolean): Move {
    const excess = this.excess ?? 0;
    const dead = 0.03 + 0.02 * this.pace.segmentS;
    const most = audible ? Math.min(MAX_RATE, this.pace.audibleRate) : MAX_RATE;
    // Begun, it is finished: else it would begin again and again.
    const enough = this.rate > 1 ? 0.01 : dead;
    if (excess > enough) this.rate = Math.min(most, 1 + Math.max(0.02, round(excess * GAIN)));
    else if (excess < -dead) this.rate = this.isDry && !audible ? DRY_RATE : MIN_RATE;
    else if (this.rate > 1 || excess >= 0) this.rate = 1;
    return { rate: this.rate, seek: null };
  }

  /** Where to go on when the picture stands although there is enough. */
  private wayOut({ nowMs, currentTime, buffered, waiting }: Sight): number | null {
    const end = buffered.find(([start, end]) => currentTime >= start && currentTime < end)?.[1];
    const isStuck = waiting && end !== undefined && end - currentTime >= STUCK_AHEAD_S;
    this.stuckSinceMs = isStuck ? (this.stuckSinceMs ?? nowMs) : null;
    if (this.stuckSinceMs === null || end === undefined || nowMs - this.stuckSinceMs < STUCK_MS) return null;
    if (nowMs - this.kickedAtMs < BETWEEN_KICKS_MS) return null;
    this.kickedAtMs = nowMs;
    const ahead = Math.max(STUCK_AHEAD_S, this.floorS + 1.5 * this.pace.segmentS);
    return Math.max(currentTime + 0.01, end - ahead);
  }

  /** Where to go on when the picture stands before a hole. */
  private jumpOver({ nowMs, currentTime, buffered }: Sight): number | null {
    const here = buffered.find(([start, end]) => currentTime >= start - 0.05 && currentTime <= end + 0.05);
    const next = buffered.find(([start]) => start > currentTime + 0.05);
    const stands = next !== undefined && (!here || here[1] - currentTime < 0.06);
    if (!stands) {
      this.holeSinceMs = null;
      return null;
    }
    this.holeSinceMs ??= nowMs;
    if (nowMs - this.holeSinceMs < AT_HOLE_MS) return null;
    this.holeSinceMs = null;
    return next[0] + 0.01;
  }
}

/**
 * Farther behind, tempo alone would take too long. The sheet's `live_max_latency_duration_count` is not for here: it is
 * for players that keep several segments back, and 16 s (`balanced`) are seven minutes at the rate of its sound.
 */
export function farBehind({ segmentS }: Pace): number {
  return Math.max(3, 2 * segmentS);
}

/** Longer segments are for those who want it calm. */
function floorOf({ segmentS, floor }: Pace): Floor {
  return (
    floor ?? {
      usual: Math.min(0.3 * segmentS, 0.15 + 0.25 * segmentS),
      least: Math.min(0.2 * segmentS, 0.08 + 0.15 * segmentS),
      most: 1 + 0.5 * segmentS,
      step: 0.04 + 0.05 * segmentS,
    }
  );
}

/** Few different tempos: each change costs the sound a little. */
function round(value: number): number {
  return Math.round(value * 50) / 50;
}

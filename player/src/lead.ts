// Leads a <video> along the live edge, as live-edge.ts has it.
import type { Engine } from './engine.ts';
import { HEARD_PARTS_FLOOR, LiveEdge, PARTS_FLOOR, type Pace, USUAL_PACE } from './live-edge.ts';
import type { Sheet } from './sheet.ts';
import { ranges } from './stats.ts';

/** Nobody sees less; browsers may say for a moment that there is no more while the picture moves on. */
const LEAST_MS = 100;
/** Between two looks of a page that is seen; more was a machine that slept, or a page that nobody saw. */
const MOST_STEP_MS = 1000;

export class Lead {
  private live = new LiveEdge();
  private breaks = 0;
  /** Times that the picture stood for want of data, of all pipelines. */
  stalls = 0;
  /** What stands now did play, and whether that was counted. */
  private isStall = false;
  private isCounted = false;
  /** Seeks to the live edge and over holes. */
  jumps = 0;
  /** That the picture stood for want of data, of all pipelines. */
  waitedMs = 0;
  private standsSinceMs: number | null = null;
  private countedToMs = 0;

  constructor(private readonly video: HTMLVideoElement) {}

  /** What is to lie ahead when it is least. */
  get floorS(): number {
    return this.live.floorS;
  }

  /** Of another pipeline nothing is known yet. */
  begin(pace: Pace): void {
    this.live = new LiveEdge(pace);
    this.live.returned();
    this.standsSinceMs = null;
    this.isStall = this.isCounted = false;
  }

  paceIs(pace: Pace): void {
    this.live.paceIs(pace);
  }

  /** As the browser says. */
  stalled(nowMs: number): void {
    if (this.isStall) return;
    this.isStall = true;
    // Else it stood before that, while silence went on.
    if (!this.live.isDry) this.live.stalled(nowMs);
  }

  /** `null`: nothing plays, or is to. */
  steer(engine: Engine | null, nowMs: number): void {
    if (engine?.isLed) this.lead(engine, nowMs);
    this.count(nowMs, engine);
  }

  private lead(engine: Engine, nowMs: number): void {
    const { live, video } = this;
    if (engine.breaks !== this.breaks) live.returned();
    this.breaks = engine.breaks;
    const move = live.look({
      nowMs,
      currentTime: video.currentTime,
      buffered: ranges(video.buffered),
      playing: !video.paused && !video.seeking && video.readyState >= HTMLMediaElement.HAVE_METADATA,
      waiting: video.readyState < HTMLMediaElement.HAVE_FUTURE_DATA,
      audible: isAudible(video),
    });
    if (move.seek) {
      video.currentTime = move.seek.to;
      this.jumps += 1;
    }
    if (video.playbackRate !== move.rate) video.playbackRate = move.rate;
  }

  /** Who jumps waits for no data, as far as one knows. */
  private count(nowMs: number, engine: Engine | null): void {
    const { live, video } = this;
    const isDry = live.isDry || video.readyState < HTMLMediaElement.HAVE_FUTURE_DATA;
    if (!isDry) this.isStall = this.isCounted = false;
    if (!engine || !isDry || video.paused || video.seeking) {
      this.standsSinceMs = null;
      return;
    }
    this.standsSinceMs ??= nowMs;
    if (nowMs - this.standsSinceMs < LEAST_MS) return;
    if ((this.isStall || live.isDry) && !this.isCounted) {
      this.isCounted = true;
      this.stalls += 1;
    }
    this.waitedMs += Math.min(nowMs - Math.max(this.standsSinceMs, this.countedToMs), MOST_STEP_MS);
    this.countedToMs = nowMs;
  }

  toLive(engine: Engine | null, { segmentS }: Pace): void {
    const { video } = this;
    const position = engine?.livePosition ?? null;
    const end = ranges(video.buffered).at(-1)?.[1];
    const isStale = end === undefined || (engine?.edge ?? end) - end > 1.5 * segmentS;
    if (position !== null && (isStale || !engine?.isLed)) video.currentTime = position;
    this.live.returned();
  }
}

/** The playlist knows better than the sheet how long segments are. */
export function paceOf(sheet: Sheet | null, engine: Engine | null, isHeard: boolean): Pace {
  const pace = sheet?.pace ?? USUAL_PACE;
  const segmentS = engine?.segmentS ?? pace.segmentS;
  if (!engine || engine.partsLost === null) return { ...pace, segmentS };
  return { ...pace, segmentS, reserveS: 0, floor: isHeard ? HEARD_PARTS_FLOOR : PARTS_FLOOR };
}

export function isAudible(video: HTMLVideoElement): boolean {
  return !video.muted && video.volume > 0;
}

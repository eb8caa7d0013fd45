// One run of a stream in parts, as far as it is known: between two runs everything may differ. Pure.
import { type Init, readSpan } from './mp4.ts';
import { PartClock } from './part-clock.ts';
import type { Part } from './part-queue.ts';
import type { Parts } from './parts-playlist.ts';

/** More than a playlist names. */
const MOST_STARTS = 60;

export class Run {
  readonly clock = new PartClock();
  /** When parts began in the run's time, by their numbers. */
  private readonly starts = new Map<number, number>();
  /** A time of the run, and the wall clock then. */
  private anchor: { seconds: number; wallMs: number } | null = null;

  constructor(
    public parts: Parts,
    readonly init: Init,
    readonly initBytes: ArrayBuffer,
  ) {}

  saw({ number, startS }: Part): void {
    this.starts.set(number, startS);
    keepNewest(this.starts, MOST_STARTS);
  }

  /** The playlist tells the wall clock of parts; of some of them it is known when they are in the run's time. */
  learnTimes({ listed }: Parts): void {
    for (const { number, startMs, durationS } of listed) {
      if (startMs === null) continue;
      const [start, end] = [this.starts.get(number), this.starts.get(number + 1)];
      if (start !== undefined) this.anchor = { seconds: start, wallMs: startMs };
      else if (end !== undefined) this.anchor = { seconds: end, wallMs: startMs + durationS * 1000 };
    }
  }

  wallOf(seconds: number): number | null {
    const { anchor } = this;
    return anchor && anchor.wallMs + (seconds - anchor.seconds) * 1000;
  }
}

/** `null`: it is no part of this run. */
export function readPart(bytes: ArrayBuffer, number: number, init: Init): Part | null {
  const span = readSpan(bytes, init);
  return span && { number, ...span, bytes };
}

/** From the newest keyframe behind which there is enough; else from the first one. */
export function fromKeyframe(found: readonly Part[], enoughS: number): readonly Part[] {
  const endS = found.at(-1)?.endS ?? 0;
  const keys = found.filter(({ independent }) => independent);
  const from = keys.filter(({ startS }) => endS - startS >= enoughS).at(-1) ?? keys[0];
  return from ? found.slice(found.indexOf(from)) : [];
}

export function keepNewest<K, V>(map: Map<K, V>, most: number): void {
  for (const key of map.keys()) {
    if (map.size <= most) return;
    map.delete(key);
  }
}

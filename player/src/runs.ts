// The runs of a stream in parts that are still of use: the newest, and those of what is still shown.
import { readInit } from './mp4.ts';
import type { Parts } from './parts-playlist.ts';
import { keepNewest, Run } from './run.ts';
import type { Ask } from './store.ts';

const MOST_RUNS = 4;

export class Runs {
  private readonly known = new Map<string, Run>();

  /** `null`: its init object can't be had. */
  async of(parts: Parts, ask: Ask): Promise<Run | 'unknown codecs' | null> {
    const known = this.known.get(parts.run);
    if (known) return known;
    const answer = await ask(parts.initUrl);
    if (answer.is !== 'there') return null;
    const init = readInit(answer.bytes);
    if (!init) return 'unknown codecs';
    const run = new Run(parts, init, answer.bytes);
    this.known.set(parts.run, run);
    keepNewest(this.known, MOST_RUNS);
    return run;
  }

  wallOf(place: { run: string; seconds: number } | null): number | null {
    return (place && this.known.get(place.run)?.wallOf(place.seconds)) ?? null;
  }
}

// How long the stream has had nothing new to say. Pure: time is an argument.
//
// Where nobody asks, silence is no news of the stream: a player that has enough, rests, or is only about to ask again.
// And it is none either that a new pipeline asks, or that it hears what was known.

import type { Engine } from './engine.ts';

/** What an engine knows. */
export interface News {
  /** When it heard something new. */
  atMs: number;
  /** Wall clock of the newest picture. */
  newestMs: number | null;
}

export class Silence {
  private unaskedUntilMs = Number.NEGATIVE_INFINITY;
  private newsAtMs = Number.NEGATIVE_INFINITY;
  /** What the pipeline heard last; `null`: nothing yet. */
  private heardAtMs: number | null = null;
  private newestMs: number | null = null;

  /** Another pipeline. `isOffline`: the stream is known to be silent, and stays so until it says something. */
  opened(nowMs: number, isOffline: boolean): void {
    this.heardAtMs = null;
    if (!isOffline) this.newsAtMs = nowMs;
  }

  /** In seconds. `isAsked`: the stream could have told by now. */
  look(nowMs: number, news: News, isAsked: boolean): number {
    this.hear(news);
    if (!isAsked) this.unaskedUntilMs = nowMs;
    return (nowMs - Math.max(this.newsAtMs, this.unaskedUntilMs)) / 1000;
  }

  private hear({ atMs, newestMs }: News): void {
    if (!Number.isFinite(atMs) || atMs === this.heardAtMs) return;
    // The first that a pipeline hears is new to it alone, perhaps.
    const isKnown = this.heardAtMs === null && newestMs !== null && newestMs === this.newestMs;
    if (!isKnown) this.newsAtMs = Math.max(this.newsAtMs, atMs);
    this.heardAtMs = atMs;
    this.newestMs = newestMs;
  }
}

/** Of a browser that does not tell, a picture that moves is the news. */
export function newsOf(
  engine: Pick<Engine, 'isLed' | 'newsAtMs' | 'newestTimeMs'> | null,
  picture: { isPlaying: boolean; movedAtMs: number },
): News {
  const told = engine?.newsAtMs ?? Number.NEGATIVE_INFINITY;
  const moved = !engine?.isLed && picture.isPlaying ? picture.movedAtMs : Number.NEGATIVE_INFINITY;
  return { atMs: Math.max(told, moved), newestMs: engine?.newestTimeMs ?? null };
}

// How far what was fetched is behind the stream's end, of one that is fetched by parts. Pure: time is an argument.
import type { PartClock } from './part-clock.ts';
import type { Parts } from './parts-playlist.ts';

/**
 * In seconds. The clock knows when the last part that was taken, which ended at `endS`, was to be there; a playlist is as old as
 * its store keeps it. `newsAtMs`: when the last part came, as a stream that is silent does not grow.
 */
export function lagS(clock: Pick<PartClock, 'dueAtMs'>, endS: number, newsAtMs: number): number {
  const dueAtMs = clock.dueAtMs(endS);
  return dueAtMs === null ? 0 : Math.max(0, newsAtMs - dueAtMs) / 1000;
}

/** Of a part, where many of them are counted. */
export function meanS({ listed, partS }: Pick<Parts, 'listed' | 'partS'>): number {
  const sum = listed.reduce((seconds, { durationS }) => seconds + durationS, 0);
  return listed.length > 0 ? sum / listed.length : partS;
}

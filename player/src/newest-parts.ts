// The newest parts there are, found by their names: those that the playlist names are a second old or more.
import type { Parts } from './parts-playlist.ts';

export interface Found {
  number: number;
  bytes: ArrayBuffer;
  /** When it was asked for. */
  sentMs: number;
}

/** At a time: with the init object, what browsers have connections to a host. */
const BATCH = 5;
/** In case a playlist is very old. */
const MOST_BATCHES = 12;
/** Fewer of the newest segment's are too few to begin with. */
const ENOUGH = 2;
const MOST_LISTED = 40;

/**
 * In a row, the newest last, and with what the playlist names where that is needed to begin. `get` gives `null` for one
 * that is not there.
 */
export async function newestParts(
  parts: Parts,
  get: (number: number) => Promise<Found | null>,
): Promise<Found[]> {
  const found = await inRow(parts.next, BATCH, get);
  for (let batch = 1; batch < MOST_BATCHES && found.length === batch * BATCH; batch += 1) {
    found.push(...(await inRow(parts.next + found.length, BATCH, get)));
  }
  if (found.length >= ENOUGH) return found;
  const from = parts.listed.filter(({ independent }) => independent).at(-1)?.number;
  if (from === undefined) return found;
  const count = Math.min(MOST_LISTED, parts.next - from);
  const listed = await inRow(from, count, get);
  return listed.length === count || found.length === 0 ? [...listed, ...found] : found;
}

/** Up to the first that is missing. */
async function inRow(
  from: number,
  count: number,
  get: (number: number) => Promise<Found | null>,
): Promise<Found[]> {
  const answers = await Promise.all(Array.from({ length: count }, (_, at) => get(from + at)));
  const end = answers.indexOf(null);
  return (end < 0 ? answers : answers.slice(0, end)).filter((answer) => answer !== null);
}

// What a stream in parts is begun with: its newest parts, and the run that they are of.
import { isTaken } from './media-source.ts';
import { newestParts } from './newest-parts.ts';
import { readPlaylist } from './offer.ts';
import type { Part } from './part-queue.ts';
import { type Parts, readPartsPlaylist } from './parts-playlist.ts';
import { fromKeyframe, type Run, readPart } from './run.ts';
import { Runs } from './runs.ts';
import { Store } from './store.ts';

/** Who looks for them has a picture already: what takes longer is no better. */
const MOST_TRYING_MS = 3000;

export interface Beginning {
  run: Run;
  /** Without those that can't be read. */
  parts: Part[];
}

/** `null`: there is nothing to begin with. */
export async function fetchBeginning(
  parts: Parts,
  runs: Runs,
  store: Store,
): Promise<Beginning | 'unknown codecs' | null> {
  const ask = store.asker();
  const get = async (number: number) => {
    const answer = await ask(parts.url(number));
    return answer.is === 'there' ? { number, bytes: answer.bytes, sentMs: answer.sentMs } : null;
  };
  const [run, found] = await Promise.all([runs.of(parts, ask), newestParts(parts, get)]);
  if (run === null || run === 'unknown codecs') return run;
  const read = found.map(({ number, bytes }) => readPart(bytes, number, run.init));
  const last = read.at(-1);
  if (last) run.clock.wasThere(last.endS, found.at(-1)?.sentMs ?? 0);
  return { run, parts: read.filter((part) => part !== null) };
}

/** Its playlist, if its parts can be had and played right now: looked up while another engine still plays it. */
export async function tryParts(
  url: string,
  freshUrl: string,
  signal: AbortSignal,
  mostMs = MOST_TRYING_MS,
): Promise<string | null> {
  const trying = new AbortController();
  const stop = () => trying.abort();
  const timer = setTimeout(stop, mostMs);
  signal.addEventListener('abort', stop);
  try {
    return await lookForParts(url, freshUrl, trying.signal);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', stop);
  }
}

async function lookForParts(url: string, freshUrl: string, signal: AbortSignal): Promise<string | null> {
  const text = await readPlaylist(freshUrl, signal);
  const parts = text === null ? null : (readPartsPlaylist(text, url)?.parts ?? null);
  if (!parts || signal.aborted) return null;
  const store = new Store(true);
  signal.addEventListener('abort', () => store.drop());
  const found = await fetchBeginning(parts, new Runs(), store);
  if (signal.aborted || found === null || found === 'unknown codecs' || !isTaken(found.run.init.type))
    return null;
  return fromKeyframe(found.parts, 0).length > 0 ? text : null;
}

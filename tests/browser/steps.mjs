// What tests of the page's states are made of.
import { setTimeout as sleep } from 'node:timers/promises';
import { lengthOf, watchPauses } from './pauses.mjs';

const LOOK_EVERY_MS = 100;

export function expect(holds, words) {
  if (!holds) throw new Error(`not so: ${words}`);
}

export function stats(page) {
  return page.evaluate(() => window.edgePlayer?.stats() ?? null);
}

/** Again, if the machine itself stood still meanwhile. */
export async function bestOf(tries, attempt) {
  for (let left = tries - 1; ; left -= 1) {
    const machine = watchPauses();
    try {
      return await attempt();
    } catch (error) {
      const stoodMs = Math.round(lengthOf(machine.seen()));
      if (left <= 0 || stoodMs === 0) throw error;
      console.log(`once more, as the machine stood still for ${stoodMs} ms: ${error.message}`);
    } finally {
      machine.stop();
    }
  }
}

/** Waits until the player's stats are so, and gives them. */
export async function until(page, seconds, words, isSo) {
  const from = performance.now();
  let seen = null;
  while (performance.now() - from < seconds * 1000) {
    seen = await stats(page);
    if (seen && isSo(seen)) return seen;
    await sleep(LOOK_EVERY_MS);
  }
  const { state, label, latencies, buffered, currentTime, lastError } = seen ?? {};
  const last = JSON.stringify({ state, label, latencies, buffered, currentTime, lastError });
  throw new Error(`no ${words} within ${seconds} s: ${last}`);
}

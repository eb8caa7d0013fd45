// Segments that take long.
import { expect, until } from './steps.mjs';

export const SEGMENTS = /\.(ts|m4s)(\?|$)/;
/** Of segments of 2 s: from 3 s on it says that it is behind, and from 4 s on it jumps. It catches up by a quarter of a second each second. */
const LOST_S = 3.3;
const NEARLY_JUMPS_S = 3.8;

const lostS = ({ latencies }) => latencies.fromEdge - latencies.target;

/** Until enough is lost that it says so, and not so much that it jumps. */
export async function heldUp(page) {
  let open;
  const gate = new Promise((resolve) => {
    open = resolve;
  });
  const hold = async (route) => {
    await gate;
    await route.continue().catch(() => undefined);
  };
  await page.route(SEGMENTS, hold);
  try {
    await until(page, 40, 'a picture that waits', ({ state }) => state === 'reconnecting');
    const seen = await until(page, 20, 'time lost', (seen) => lostS(seen) > LOST_S);
    expect(lostS(seen) < NEARLY_JUMPS_S, `not too much was lost to say so: ${lostS(seen).toFixed(1)} s`);
  } finally {
    open();
    await page.unroute(SEGMENTS, hold);
  }
}

// Segments that take long.
import { expect, stats, until } from './steps.mjs';

export const SEGMENTS = /\.(ts|m4s)(\?|$)/;
/** Of segments of 2 s: from 3 s on it says that it is behind, and from 4 s on it jumps. */
const LOST_S = 3.1;
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
    await until(page, 20, 'time lost', (seen) => lostS(seen) > LOST_S);
  } finally {
    open();
    await page.unroute(SEGMENTS, hold);
  }
  const lost = lostS(await stats(page));
  expect(lost < NEARLY_JUMPS_S, `not too much was lost to say so: ${lost.toFixed(1)} s`);
}

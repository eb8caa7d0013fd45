// Watches the player page for long, and what it takes: whether memory stays where it was after the first minutes.
//
//   node long.mjs --page URL [--minutes 30] [--look 60]
//
// A line a look. Exit 0: it stayed. 1: it grew, or the picture stood. 2: it could not be tried.
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { launch, scratchFolder } from './play.mjs';
import { stats, until } from './steps.mjs';

/** Of the looks, the first part is no measure: code is compiled, tables find their size. */
const SETTLES = 1 / 4;
/** In megabytes: more than a heap differs from look to look. */
const MOST_GROWTH_MB = 3;

function options() {
  const { values } = parseArgs({
    options: {
      page: { type: 'string' },
      minutes: { type: 'string', default: '30' },
      look: { type: 'string', default: '60' },
    },
  });
  const [minutes, lookS] = [Number(values.minutes), Number(values.look)];
  if (!values.page || !(minutes > 0) || !(lookS > 0)) throw new Error('see the head of this file');
  return { page: values.page, minutes, lookS };
}

/** What is really held, without what waits for its collection. */
async function taken(session) {
  await session.send('HeapProfiler.collectGarbage');
  const { metrics } = await session.send('Performance.getMetrics');
  const of = (name) => metrics.find((metric) => metric.name === name)?.value ?? 0;
  return { heapMb: of('JSHeapUsedSize') / 1e6, nodes: of('Nodes'), listeners: of('JSEventListeners') };
}

async function run({ page: address, minutes, lookS }, profile) {
  const context = await launch(profile, { width: 1280, height: 800 });
  try {
    const page = context.pages()[0] ?? (await context.newPage());
    await page.goto(address, { waitUntil: 'domcontentloaded' });
    const session = await page.context().newCDPSession(page);
    await session.send('Performance.enable');
    await until(page, 60, 'live', ({ state }) => state === 'live');
    const looks = [];
    let frames = 0;
    for (const from = performance.now(); performance.now() - from < minutes * 60_000; ) {
      await sleep(1000 * lookS);
      const seen = await stats(page);
      const held = await taken(session);
      looks.push(held);
      const { state, latency, buffered, stalls, jumps, reopened, requests, framesPresented } = seen;
      console.log(JSON.stringify({ ...held, state, latency, buffered, stalls, jumps, reopened, requests }));
      if (framesPresented === frames) throw new Error('the picture stands');
      frames = framesPresented;
    }
    return looks;
  } finally {
    await context.close();
  }
}

/** From the least behind the beginning to the least at the end. */
export function growthMb(looks) {
  const settled = looks.slice(Math.floor(looks.length * SETTLES));
  const half = Math.ceil(settled.length / 2);
  const least = (part) => Math.min(...part.map(({ heapMb }) => heapMb));
  return settled.length > 1 ? least(settled.slice(half)) - least(settled.slice(0, half)) : 0;
}

async function main() {
  const wanted = options();
  const profile = scratchFolder('long');
  try {
    const grownMb = growthMb(await run(wanted, profile));
    console.log(`grown by ${grownMb.toFixed(2)} MB`);
    if (grownMb > MOST_GROWTH_MB) process.exitCode = 1;
  } catch (error) {
    console.error(`long: ${error.message}`);
    process.exitCode = 1;
  } finally {
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

main().catch((error) => {
  console.error(`long: ${error.message}`);
  process.exitCode = 2;
});

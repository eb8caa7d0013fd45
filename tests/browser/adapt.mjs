// Opens the player page in headless Chromium on a stream with renditions, makes the network slow and fast again, and
// waits for the picture to follow.
//
//   node adapt.mjs --page URL --wide 1280 --narrow 640 --kbps 700 [--within 60] [--screenshot out.png]
//
// Prints what was seen as JSON. Exit 0: it followed. 1: it did not, with the reasons. 2: it could not be tried.
import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { firstFrame, launch, listen, scratchFolder } from './play.mjs';

const LOOK_EVERY_MS = 250;

function options() {
  const { values } = parseArgs({
    options: {
      page: { type: 'string' },
      wide: { type: 'string' },
      narrow: { type: 'string' },
      kbps: { type: 'string' },
      within: { type: 'string', default: '60' },
      screenshot: { type: 'string' },
    },
  });
  const [wide, narrow, kbps, within] = [values.wide, values.narrow, values.kbps, values.within].map(Number);
  if (!values.page || [wide, narrow, kbps, within].some(Number.isNaN))
    throw new Error('see the head of this file');
  return { page: values.page, wide, narrow, kbps, within, screenshot: values.screenshot };
}

/** How long it took until the picture was so wide and moved. */
async function becomes(page, width, within) {
  const from = performance.now();
  let [seen, moved] = [null, null];
  while (performance.now() - from < within * 1000) {
    const stats = await page.evaluate(() => window.edgePlayer?.stats() ?? null);
    if (stats?.width === width) {
      moved ??= stats.framesPresented;
      if (stats.framesPresented > moved)
        return { width, after: (performance.now() - from) / 1000, stalls: stats.stalls };
    }
    seen = stats;
    await sleep(LOOK_EVERY_MS);
  }
  throw new Error(
    `the picture did not become ${width} pixels wide within ${within} s: it has ${seen?.width}, ` +
      `the page says "${seen?.label}", last error: ${seen?.lastError}`,
  );
}

async function limit(page, kbps) {
  const session = await page.context().newCDPSession(page);
  await session.send('Network.enable');
  const downloadThroughput = kbps === null ? -1 : (kbps * 1000) / 8;
  const none = { offline: false, latency: 0, uploadThroughput: -1 };
  await session.send('Network.emulateNetworkConditions', { ...none, downloadThroughput });
  return session;
}

async function follow(page, wanted) {
  const startMs = performance.now();
  await page.goto(wanted.page, { waitUntil: 'domcontentloaded' });
  await firstFrame(page, wanted.within, startMs);
  const steps = [await becomes(page, wanted.wide, wanted.within)];
  const slow = await limit(page, wanted.kbps);
  steps.push(await becomes(page, wanted.narrow, wanted.within));
  // Else its limits stay.
  await slow.detach();
  await limit(page, null);
  steps.push(await becomes(page, wanted.wide, wanted.within));
  return steps;
}

async function main() {
  const wanted = options();
  const profile = scratchFolder();
  const context = await launch(profile, { width: 1280, height: 800 });
  const report = { page: wanted.page, steps: [], faults: [] };
  try {
    const page = context.pages()[0] ?? (await context.newPage());
    const heard = listen(page);
    try {
      report.steps = await follow(page, wanted);
      if (heard.consoleErrors.length) report.faults.push(`console: ${heard.consoleErrors[0]}`);
    } catch (error) {
      report.faults.push(error.message);
    }
    if (wanted.screenshot) await page.screenshot({ path: wanted.screenshot });
  } finally {
    await context.close();
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
  console.log(JSON.stringify(report, null, 1));
  for (const fault of report.faults) {
    console.error(`adapt: ${fault}`);
    process.exitCode = 1;
  }
}

main().catch((error) => {
  console.error(`adapt: ${error.message}`);
  process.exitCode = 2;
});

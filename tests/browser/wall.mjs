// Opens several player pages side by side, in frames of one page of headless Chromium, and watches all pictures move.
//
//   node wall.mjs --page URL --page URL ... [--seconds 20] [--first-frame 30] [--screenshot out.png]
//
// Prints what was seen as JSON, a list in the order of the pages. Exit 0: all of them played. 1: not all did, with the
// reasons. 2: it could not be tried.
import { rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { faults, isEnough } from './judge.mjs';
import { watchPauses } from './pauses.mjs';
import { firstFrame, launch, listen, scratchFolder, since, summary, watch } from './play.mjs';

/** Many players share a machine that may be busy: looks come late then, and so does the clock of the sound. */
const TOGETHER = { interval: 4, pace: 0.5, settle: 6, share: 0.5 };
const OPEN_WITHIN_MS = 40_000;
const TILE = { width: 320, height: 280 };

function options() {
  const { values } = parseArgs({
    options: {
      page: { type: 'string', multiple: true, default: [] },
      seconds: { type: 'string', default: '20' },
      'first-frame': { type: 'string', default: '30' },
      screenshot: { type: 'string' },
    },
  });
  const [seconds, first] = [Number(values.seconds), Number(values['first-frame'])];
  if (!values.page.length || Number.isNaN(seconds) || Number.isNaN(first)) throw new Error('--page URL');
  return { pages: values.page, seconds, first, screenshot: values.screenshot };
}

/** All pages are of one origin, and only that may frame them. */
async function open(page, urls, columns) {
  const wall = new URL('/wall', urls[0]).href;
  const tiles = urls.map((url) => {
    const source = url.replaceAll('&', '&amp;').replaceAll('"', '&quot;');
    return `<iframe src="${source}" width="${TILE.width}" height="${TILE.height}" allow="autoplay"></iframe>`;
  });
  const style = `body{margin:0;display:grid;grid-template-columns:repeat(${columns},1fr)}iframe{border:0}`;
  const body = `<!doctype html><style>${style}</style>${tiles.join('')}`;
  await page.route(wall, (route) => route.fulfill({ contentType: 'text/html', body }));
  await page.goto(wall, { waitUntil: 'domcontentloaded' });
  // Frames come in any order.
  return Promise.all(
    urls.map(async (url) => {
      const deadline = performance.now() + OPEN_WITHIN_MS;
      for (;;) {
        const frame = page.frames().find((frame) => frame.url() === url);
        if (frame) return frame;
        if (performance.now() > deadline) throw new Error(`no frame of ${url}`);
        await page.waitForTimeout(50);
      }
    }),
  );
}

async function judge(frame, { seconds, first }, machine) {
  const startMs = performance.now();
  const how = () => ({ ...TOGETHER, pauses: since(startMs, machine.seen()) });
  try {
    const shown = await firstFrame(frame, first, startMs);
    const samples = await watch(frame, seconds, startMs, (seen) => isEnough(seen, seconds, how()));
    const { pauses } = how();
    return { ...summary(samples, shown), pauses, faults: faults(samples, seconds, how()) };
  } catch (error) {
    return { faults: [error.message] };
  }
}

async function run(wanted, profile) {
  const columns = Math.ceil(Math.sqrt(wanted.pages.length));
  const rows = Math.ceil(wanted.pages.length / columns);
  const size = { width: columns * TILE.width, height: rows * TILE.height };
  const context = await launch(profile, size);
  const machine = watchPauses();
  try {
    const page = context.pages()[0] ?? (await context.newPage());
    const heard = listen(page);
    const frames = await open(page, wanted.pages, columns);
    const reports = await Promise.all(frames.map((frame) => judge(frame, wanted, machine)));
    if (wanted.screenshot) await page.screenshot({ path: wanted.screenshot });
    return { reports, heard };
  } finally {
    machine.stop();
    await context.close();
  }
}

async function main() {
  const wanted = options();
  const profile = scratchFolder();
  try {
    const { reports, heard } = await run(wanted, profile);
    console.log(JSON.stringify(reports));
    for (const [at, { faults }] of reports.entries()) {
      for (const fault of faults) console.error(`wall: ${wanted.pages[at]}: ${fault}`);
    }
    for (const error of heard.consoleErrors) console.error(`wall: console: ${error}`);
    const isWell = heard.consoleErrors.length === 0 && reports.every(({ faults }) => !faults.length);
    process.exitCode = isWell ? 0 : 1;
  } finally {
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

main().catch((error) => {
  console.error(`wall: ${error.message}`);
  process.exitCode = 2;
});

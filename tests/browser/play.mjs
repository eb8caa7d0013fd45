// Opens the player page in headless Chromium and watches whether the picture moves.
//
//   node play.mjs --page URL [--seconds 30] [--screenshot out.png] [--out report.json]
//                 [--size 1280x800] [--first-frame 30] [--max-stalls N]
//
// Exit 0: it played. 1: it did not, with the reasons. 2: it could not be tried.
import { accessSync, constants, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { faults, isEnough, longestFreeze, stalls } from './judge.mjs';
import { watchPauses } from './pauses.mjs';

const LOOK_EVERY_MS = 250;
/** Where the machine stood still it is watched on, but no longer than this many times. */
const MOST_TIMES = 2;
/** What a container's `/dev/shm` does not have. */
const ROOM_BYTES = 2 ** 31;
export const BROWSER_ARGS = [
  ...(process.getuid?.() === 0 ? ['--no-sandbox'] : []),
  '--autoplay-policy=no-user-gesture-required',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-gpu',
  '--disable-quic',
  '--disable-sync',
  '--no-first-run',
];

function fail(code, message) {
  console.error(`play: ${message}`);
  process.exitCode = code;
  return code;
}

function options() {
  const { values } = parseArgs({
    options: {
      page: { type: 'string' },
      seconds: { type: 'string', default: '30' },
      screenshot: { type: 'string' },
      out: { type: 'string' },
      size: { type: 'string', default: '1280x800' },
      'first-frame': { type: 'string', default: '30' },
      'max-stalls': { type: 'string', default: 'Infinity' },
    },
  });
  const [width, height] = values.size.split('x').map(Number);
  const numbers = {
    seconds: Number(values.seconds),
    firstFrame: Number(values['first-frame']),
    maxStalls: Number(values['max-stalls']),
    width,
    height,
  };
  const bad = Object.entries(numbers).find(([, value]) => Number.isNaN(value));
  if (!values.page || bad) throw new Error(bad ? `${bad[0]} is no number` : '--page URL is missing');
  return { page: values.page, screenshot: values.screenshot, out: values.out, ...numbers };
}

export function chromiumPath() {
  const path = process.env.CHROMIUM || '/usr/bin/chromium';
  try {
    accessSync(path, constants.X_OK);
  } catch {
    throw new Error(`no Chromium at ${path}: run \`apt-get install chromium\` or set $CHROMIUM`);
  }
  return path;
}

export async function playwright() {
  try {
    return (await import('playwright-core')).chromium;
  } catch {
    throw new Error('playwright-core is missing: run `npm ci` in tests/browser');
  }
}

/** Memory, as on a box: a disk that others keep busy would hold up the browser for seconds. */
export function scratchFolder(name = 'browser') {
  const inside = (parent) => mkdtempSync(join(parent, `edge-agent-${name}-`));
  try {
    const { bavail, bsize } = statfsSync('/dev/shm');
    if (bavail * bsize > ROOM_BYTES) return inside('/dev/shm');
  } catch {}
  return inside(tmpdir());
}

export async function launch(profile, { width, height }) {
  const chromium = await playwright();
  return chromium.launchPersistentContext(profile, {
    env: { ...process.env, TMPDIR: profile },
    executablePath: chromiumPath(),
    headless: true,
    viewport: { width, height },
    args: BROWSER_ARGS,
  });
}

/** What the page complains about. */
export function listen(page) {
  const heard = { consoleErrors: [], failedRequests: [], badAnswers: [] };
  page.on('console', (message) => {
    // Chromium repeats each request that failed; those have lists of their own.
    const repeated = message.text().startsWith('Failed to load resource');
    if (message.type() === 'error' && !repeated) heard.consoleErrors.push(message.text());
  });
  page.on('pageerror', (error) => heard.consoleErrors.push(String(error)));
  page.on('requestfailed', (request) => {
    // A request that the player itself gave up (it seeks, say) is no failure.
    const reason = request.failure()?.errorText ?? '';
    if (reason !== 'net::ERR_ABORTED') heard.failedRequests.push(`${reason} ${request.url()}`);
  });
  page.on('response', (answer) => {
    if (answer.status() >= 400) heard.badAnswers.push(`${answer.status()} ${answer.url()}`);
  });
  return heard;
}

async function look(page, startMs) {
  const stats = await page.evaluate(() => window.edgePlayer?.stats() ?? null);
  return stats && { at: (performance.now() - startMs) / 1000, ...stats };
}

export async function firstFrame(page, seconds, startMs) {
  let sample = null;
  while (performance.now() - startMs < seconds * 1000) {
    sample = await look(page, startMs);
    if (sample?.framesPresented > 0) return sample;
    await sleep(LOOK_EVERY_MS / 2);
  }
  const seen = sample
    ? `the page says "${sample.label}", last error: ${sample.lastError}`
    : 'no player on the page';
  throw new Error(`no frame within ${seconds} s (${seen})`);
}

/** For so many seconds, and on until these are enough. */
export async function watch(page, seconds, startMs, areEnough) {
  const samples = [];
  const from = performance.now();
  // A look may take a while on a busy machine.
  const isSeen = () => samples.length > 1 && samples.at(-1).at - samples[0].at >= seconds;
  const isLate = () => performance.now() - from > MOST_TIMES * seconds * 1000;
  while (!(isSeen() && areEnough(samples)) && !isLate()) {
    const sample = await look(page, startMs);
    if (sample) samples.push(sample);
    await sleep(LOOK_EVERY_MS);
  }
  return samples;
}

/** In the time of the looks. */
export function since(startMs, pauses) {
  return pauses.map((pause) => pause.map((ms) => (ms - startMs) / 1000));
}

export function summary(samples, shown) {
  const [first, last] = [samples.at(0), samples.at(-1)];
  if (!first || !last) return { firstFrameAfter: shown.at };
  const latencies = samples
    .map(({ latency }) => latency)
    .filter((latency) => latency !== null)
    .sort((a, b) => a - b);
  return {
    firstFrameAfter: shown.at,
    watched: last.at - first.at,
    frames: last.framesPresented - first.framesPresented,
    advanced: last.currentTime - first.currentTime,
    stalls: last.stalls,
    protocol: last.protocol,
    reopened: last.reopened,
    longestFreeze: longestFreeze(samples),
    latency: latencies[Math.floor(latencies.length / 2)] ?? null,
    picture: `${last.width}x${last.height}`,
    states: [...new Set(samples.map(({ state }) => state))],
  };
}

async function run(wanted, profile) {
  const context = await launch(profile, wanted);
  const machine = watchPauses();
  try {
    const page = context.pages()[0] ?? (await context.newPage());
    const heard = listen(page);
    const startMs = performance.now();
    const how = () => ({ pauses: since(startMs, machine.seen()) });
    const report = { page: wanted.page, faults: [], ...heard };
    try {
      await page.goto(wanted.page, { waitUntil: 'domcontentloaded' });
      const shown = await firstFrame(page, wanted.firstFrame, startMs);
      const { seconds } = wanted;
      const samples = await watch(page, seconds, startMs, (seen) => isEnough(seen, seconds, how()));
      Object.assign(report, summary(samples, shown), how(), { samples });
      report.faults.push(...faults(samples, seconds, how()));
      const stood = stalls([shown, ...samples], how());
      if (stood > wanted.maxStalls) report.faults.push(`${stood} stalls`);
      if (heard.consoleErrors.length) report.faults.push(`console: ${heard.consoleErrors[0]}`);
    } catch (error) {
      report.faults.push(error.message);
    }
    if (wanted.screenshot) await page.screenshot({ path: wanted.screenshot });
    return report;
  } finally {
    machine.stop();
    await context.close();
  }
}

async function main() {
  const wanted = options();
  const profile = scratchFolder();
  try {
    const report = await run(wanted, profile);
    if (wanted.out) writeFileSync(wanted.out, `${JSON.stringify(report, null, 1)}\n`);
    const { samples: _, ...short } = report;
    console.log(JSON.stringify(short, null, 1));
    for (const fault of report.faults) fail(1, fault);
  } finally {
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  main().catch((error) => fail(2, error.message));
}

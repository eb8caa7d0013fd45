// From the lens to the screen: the real agent, MinIO behind a slow proxy, a camera that films a clock, and the page in Chromium.
//
//   make latency      docs/latency.md tells what is measured, and how to choose
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { scratchFolder } from '../play.mjs';
import { ages, backToLive, bitrate, latency, lateness, makeUp, median, stalls, traffic } from './figures.mjs';
import { AgentPlace, ClockCamera, freePort, ROOT, startMinio, stopAll } from './parts.mjs';
import { SlowProxy } from './proxy.mjs';
import { intoDocs, writeReport } from './report.mjs';
import { FAULTS, GET_MS, missed, PROFILES, rowsFor, withRow } from './rows.mjs';
import { firstPicture, notes, openBrowser, openPage, reported, stats } from './watch.mjs';

const ARTIFACTS = join(ROOT, 'artifacts');
const STREAM_WITHIN_MS = 90_000;
// It depends on where between two keyframes the viewer comes: of a few visits the median is dice.
const FIRST_PICTURES = 9;
/** So long the stream is watched before something goes wrong. */
const BEFORE_FAULT_MS = 15_000;
const OUTAGE_MS = 10_000;
const CAMERA_OFF_MS = 5_000;
const UPLINK_TIMES = 1.5;
/** Of the time that is measured, for faults that would go on for ever. */
const LASTS_FOR = 2 / 3;

function number(name, usual) {
  const value = Number(process.env[name] || usual);
  if (!(value > 0)) throw new Error(`${name}: ${process.env[name]} is no number above 0`);
  return value;
}

function options() {
  const profiles = (process.env.LATENCY_PROFILES || PROFILES.join(' ')).split(/[\s,]+/).filter(Boolean);
  return {
    rows: rowsFor(profiles, process.env.LATENCY_ONLY || ''),
    seconds: number('LATENCY_SECONDS', 180),
    settleSeconds: number('LATENCY_SETTLE', 20),
    faultSeconds: number('LATENCY_FAULT_SECONDS', 60),
    settings: process.env.LATENCY_SETTINGS || '',
    keepsLog: Boolean(process.env.LATENCY_LOG),
  };
}

/** What a fault does; returns the time at which it is over. */
const DO = {
  outage: async ({ proxy }) => {
    proxy.set({ isDown: true });
    await sleep(OUTAGE_MS);
    proxy.set({});
  },
  restart: async ({ place }) => {
    await place.part.stop();
    await place.start();
  },
  kill: async ({ place }) => {
    await place.part.kill();
    await place.start();
  },
  camera: async ({ camera }) => {
    await camera.part.kill();
    await sleep(CAMERA_OFF_MS);
    await camera.start();
  },
};

async function watchFault(rig, row, page, wanted, settledMs) {
  const { proxy } = rig;
  await sleep(BEFORE_FAULT_MS);
  const beganMs = Date.now();
  const streamBytesPerS = bitrate(proxy.log, settledMs, beganMs);
  const { lasts } = FAULTS[row.fault];
  if (row.fault === 'uplink') proxy.set({ uplinkBytesPerS: UPLINK_TIMES * streamBytesPerS });
  else if (lasts) proxy.set({ [row.fault === 'lost' ? 'loses' : row.fault]: true });
  else await DO[row.fault](rig);
  if (lasts) {
    await sleep(beganMs + 1000 * LASTS_FOR * wanted.faultSeconds - Date.now());
    proxy.set({});
  }
  const overMs = Date.now();
  await sleep((lasts ? beganMs : overMs) + 1000 * wanted.faultSeconds - Date.now());
  // Before the notes are asked for: that takes a while.
  const toMs = Date.now();
  const { frames } = await notes(page);
  const before = median(ages(frames, settledMs, beganMs).map(([, age]) => age));
  // What is over at once is judged with what comes behind it.
  const judgedToMs = lasts ? overMs : toMs;
  const during = stalls(frames, beganMs, judgedToMs);
  return {
    before: before / 1000,
    ...latency(frames, beganMs, judgedToMs),
    stalls: during.count,
    stallSeconds: during.seconds,
    backToLive: backToLive(frames, before, overMs, toMs),
    offSeconds: (overMs - beganMs) / 1000,
    behindSeconds: (toMs - overMs) / 1000,
    lost: proxy.log.filter(({ isLost }) => isLost).length,
    streamKbps: (streamBytesPerS * 8) / 1000,
    ...traffic(proxy.log, beganMs, toMs),
    curve: ages(frames, settledMs, toMs).map(([at, age]) => [at - beganMs, age]),
    overAtMs: overMs - beganMs,
  };
}

async function watchCalm({ proxy }, page, wanted, settledMs) {
  await sleep(1000 * wanted.seconds);
  const toMs = Date.now();
  const noted = await notes(page);
  const { frames, unread } = noted;
  const all = stalls(frames, settledMs, toMs);
  return {
    ...latency(frames, settledMs, toMs),
    stalls: all.count,
    stallSeconds: all.seconds,
    settlingStalls: stalls(frames, frames[0][0], settledMs).count,
    unread: unread / (unread + frames.length),
    ...traffic(proxy.log, settledMs, toMs),
    rigLate: lateness(proxy.log, settledMs, toMs),
    makeUp: makeUp(noted, proxy.log, settledMs, toMs),
    curve: ages(frames, frames[0][0], toMs).map(([at, age]) => [at - frames[0][0], age]),
  };
}

async function measure(parts, row, wanted, folder) {
  const { proxy, camera, store } = parts;
  proxy.reset({ putMs: row.putMs, getMs: GET_MS });
  const place = new AgentPlace(folder, {
    profile: row.profile,
    settings: wanted.settings,
    store,
    proxyUrl: proxy.url,
    cameraUrl: camera.url(row.hasSound),
    isNear: row.putMs === 0,
    id: row.name.replace(/\W/g, '_'),
  });
  parts.browser ??= await openBrowser();
  const { browser } = parts;
  let page = null;
  try {
    await place.start();
    await place.isPlayable(STREAM_WITHIN_MS);
    const pictures = [];
    while (pictures.length < FIRST_PICTURES) pictures.push(await firstPicture(browser, place.page));
    page = await openPage(browser, place.page, row.isHeard);
    await sleep(1000 * wanted.settleSeconds);
    const settledMs = Date.now();
    const rig = { ...parts, place };
    const figures = row.fault
      ? await watchFault(rig, row, page, wanted, settledMs)
      : await watchCalm(rig, page, wanted, settledMs);
    const { stalls: told, protocol, floor, framesDropped } = (await stats(page)) ?? {};
    const shown = (await reported(page))?.latency?.median ?? null;
    if (wanted.keepsLog) keepLog(row, { proxy: proxy.log, page: await notes(page), agent: place.log() });
    return {
      firstPicture: median(pictures),
      firstPictures: pictures,
      ...figures,
      player: { told, protocol, floor, framesDropped, shown },
    };
  } finally {
    proxy.set({});
    await page
      ?.context()
      .close()
      .catch(() => undefined);
    await place.part?.stop();
  }
}

/** Of an earlier run; rows that are measured again take the place of theirs. */
function formerResults() {
  const path = join(ARTIFACTS, 'latency.json');
  return existsSync(path) ? JSON.parse(readFileSync(path, 'utf8')) : [];
}

/** Every request and picture, to find out why. */
function keepLog({ name }, log) {
  writeFileSync(join(ARTIFACTS, `latency-${name.replace('/', '-')}.json`), JSON.stringify(log));
}

function told(row, figures) {
  if (figures.error) return `ERROR ${figures.error}`;
  const s = (value) => (value === null ? 'none' : `${value.toFixed(2)} s`);
  const words = [
    `median ${s(figures.median)}, p95 ${s(figures.p95)}, stalls ${figures.stalls} (${s(figures.stallSeconds)})`,
  ];
  words.push(
    `first picture ${s(figures.firstPicture)}, ${figures.putPerS.toFixed(1)} PUT/s, ${figures.getPerS.toFixed(1)} GET/s`,
  );
  if (row.fault) words.push(`live again after ${s(figures.backToLive)}`);
  words.push(`the player says ${s(figures.player.shown)}`);
  const misses = missed(row.targets, figures);
  if (misses) words.push(misses.length ? `MISSED ${misses.join(', ')}` : 'all targets met');
  return words.join('; ');
}

async function main() {
  const wanted = options();
  mkdirSync(ARTIFACTS, { recursive: true });
  const folder = scratchFolder('latency');
  const parts = {};
  let stopping = null;
  const stop = () => {
    stopping ??= (async () => {
      await parts.browser?.close().catch(() => undefined);
      await stopAll();
      parts.proxy?.stop();
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    })();
    return stopping;
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
    process.once(signal, () => stop().finally(() => process.exit(130)));
  }
  let results = process.env.LATENCY_KEEP ? formerResults() : [];
  try {
    parts.store = await startMinio(folder);
    parts.proxy = await new SlowProxy(parts.store.endpoint).start();
    parts.camera = await new ClockCamera(folder, await freePort()).start();
    for (const [i, row] of wanted.rows.entries()) {
      if (stopping) break;
      const place = join(folder, `row${i}`);
      mkdirSync(place);
      let figures;
      try {
        figures = await measure(parts, row, wanted, place);
      } catch (error) {
        figures = { error: error.message };
        // It may be the browser that is broken.
        await parts.browser?.close().catch(() => undefined);
        parts.browser = null;
      }
      if (stopping) break;
      results = withRow(results, {
        ...row,
        ...figures,
        atMs: Date.now(),
        seconds: row.fault ? wanted.faultSeconds : wanted.seconds,
      });
      console.log(`${row.name}: ${told(row, figures)}`);
      writeReport(ARTIFACTS, results);
      writeFileSync(join(ARTIFACTS, 'latency.json'), `${JSON.stringify(results)}\n`);
      // The rows to come need the memory.
      rmSync(join(place, 'spool'), { recursive: true, force: true });
    }
    if (!stopping) {
      const encoder = await parts.camera.stop();
      if (encoder) console.log(`the camera: ${encoder}`);
    }
  } finally {
    await stop();
  }
  const { markdown } = writeReport(ARTIFACTS, results);
  console.log(`\n${markdown}\nAlso in artifacts/latency.md, latency.svg and latency-faults.svg.`);
  if (process.env.LATENCY_DOCS) intoDocs(join(ROOT, 'docs'), ARTIFACTS, results);
  // Speed is told, not judged; a row without figures is a failure.
  if (results.some(({ error }) => error)) process.exitCode = 1;
}

// Whoever reads along may leave; what was started has to be ended all the same.
process.stdout.on('error', () => undefined);

main().catch(async (error) => {
  console.error(`latency: ${error.message}`);
  process.exitCode = 2;
});

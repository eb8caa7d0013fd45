// Watches the player page play a stream in parts in headless Chromium: a while, past a part that is lost and past a network
// that is gone; then whoever runs this takes away ffmpeg, the agent and the storage, as the lines that it prints say.
//
//   node parts.mjs --page URL --shots FOLDER [--seconds 60] [--only NAME ...]
//
// Exit 0: all was as it should be. 1: not all, with the reasons. 2: it could not be tried.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { lengthOf, watchPauses } from './pauses.mjs';
import { launch, listen, scratchFolder } from './play.mjs';
import { bestOf, expect, stats, until } from './steps.mjs';
import { leastStill, longestStill, witness } from './stills.mjs';
import { counting, hide, mountedOften } from './visits.mjs';

const LIVE_WITHIN_S = 40;
/** A camera that starts is in it. */
const EARLY_WITHIN_S = 60;
const WHOLE = /\/segment_[^/]*\.m4s/;
const SHEET = /\/status\.json/;
const PART = /\/part_[^/]*_(\d+)\.m4s/;
const OVER_A_LOST_PART_MS = 1500;
const OVER_A_CHANGE_MS = 4000;
/** What goes on before a change is no part of it. */
const BEFORE_A_CHANGE_MS = 5000;
/** A minute after the trouble; after a second one two. */
const BACK_WITHIN_S = 200;
const RESTS_AFTER_S = 60;
const PAUSED_S = 55;
/** Behind the picture, and ahead of it. */
const MOST_KEPT_S = 20;
/** Of silence: 6 bytes in a packet of 1024 samples. Of sound: what the agent encodes has 8000. */
const MOST_SILENT = 600;
const LEAST_LOUD = 2000;
/** Time that goes back in the sound would cost the picture all frames to its next keyframe, a second away. */
const LESS_THAN_A_GOP_MS = 800;
const MEDIA = /\.(m3u8|m4s|mp4)(\?|$)/;

function options() {
  const { values } = parseArgs({
    options: {
      page: { type: 'string' },
      shots: { type: 'string' },
      seconds: { type: 'string', default: '60' },
      only: { type: 'string', multiple: true, default: [] },
    },
  });
  if (!values.page || !values.shots || !(Number(values.seconds) > 0))
    throw new Error('see the head of this file');
  return { ...values, seconds: Number(values.seconds) };
}

const isLive = (page, seconds = LIVE_WITHIN_S) =>
  until(page, seconds, 'live by parts', (seen) => {
    return seen.state === 'live' && seen.protocol === 'sub_second' && seen.latencies.fromEdge < 2;
  });

/** One that is loaded again is another one. */
const isThisDocument = (page) =>
  page.evaluate(() => {
    window.sameDocument = true;
  });

/** Frames move again, in the same page. */
async function goesOn(page, before, seconds) {
  await until(
    page,
    seconds,
    'frames',
    ({ framesPresented }) => framesPresented > before.framesPresented + 20,
  );
  const now = await isLive(page, seconds);
  expect(await page.evaluate(() => window.sameDocument === true), 'the page was not loaded again');
  expect(now.protocol === 'sub_second', `it still goes by parts, not by ${now.protocol}`);
  return now;
}

const short = ({ latency, buffer, floor, stalls, partsLost, requests, requestsInVain, requestsPerSecond }) =>
  JSON.stringify({ latency, buffer, floor, stalls, partsLost, requests, requestsInVain, requestsPerSecond });

/** What the player did in so many seconds. */
async function watched(page, seconds) {
  const before = await stats(page);
  await longestStill(page);
  const [latencies, distances] = [[], []];
  for (const from = performance.now(); performance.now() - from < seconds * 1000; ) {
    const { latency, latencies: of } = await stats(page);
    if (latency !== null) latencies.push(latency);
    if (of.fromEdge !== null) distances.push(of.fromEdge);
    await sleep(250);
  }
  const after = await stats(page);
  for (const list of [latencies, distances]) list.sort((a, b) => a - b);
  const advanced = after.currentTime - before.currentTime;
  return {
    after,
    advanced,
    latencies,
    distances,
    stalls: after.stalls - before.stalls,
    inVain: ((after.requestsInVain - before.requestsInVain) * 0.2) / advanced,
    perSecond: (after.requests - before.requests) / seconds,
    still: await longestStill(page),
  };
}

async function playsSteadily(page, seconds) {
  const first = await isLive(page);
  // The way to the edge is not what is measured.
  await sleep(5000);
  const seen = await watched(page, seconds);
  const { after, advanced, latencies, distances, stalls, inVain, perSecond, still } = seen;
  const at = (part, list = latencies) => list[Math.floor(list.length * part)]?.toFixed(2);
  console.log(
    `steady: latency ${at(0.5)} / ${at(0.95)} s, stalls ${stalls}, longest without a frame ${still} ms, ` +
      `${perSecond.toFixed(1)} requests per s, ${inVain.toFixed(2)} in vain per part`,
  );
  expect(first.protocol === 'sub_second', first.protocol);
  expect(advanced > seconds * 0.95, `it plays as fast as time goes: ${advanced.toFixed(1)} s of ${seconds}`);
  // None on a quiet machine; a busy one may hold up encoder, store and browser alike.
  expect(stalls <= 2 && still < 2000, `it does not stall: ${short(after)}, ${still} ms`);
  // From the newest part: how old that is, is not the player's.
  expect(Number(at(0.5, distances)) < 1.2, `it is near the live edge: ${at(0.5, distances)} s`);
  expect(inVain <= 1, `no more than one request in vain per part: ${inVain}`);
  expect(perSecond < 12, `${perSecond} requests per second`);
}

async function steady({ page, shot, seconds }) {
  await isLive(page);
  const { firstPicture } = await page.evaluate(() => document.querySelector('edge-player').report());
  console.log(`steady: first picture ${firstPicture.toFixed(2)} s`);
  await bestOf(3, () => playsSteadily(page, seconds));
  await page.locator('edge-player').getByRole('button', { name: 'Stats' }).click();
  await sleep(700);
  const panel = await page.locator('edge-player').locator('dl').innerText();
  for (const words of ['Parts lost', 'per s', 'sub_second'])
    expect(panel.includes(words), `${words}: ${panel}`);
  await shot('parts');
  await page.locator('edge-player').getByRole('button', { name: 'Stats' }).click();
}

/** Sound is there for who turns it on, by the button that a viewer has. */
async function heard({ page }) {
  await isLive(page);
  const video = (get) => page.evaluate(get);
  const soundBytes = () =>
    video(() => document.querySelector('edge-player').video.webkitAudioDecodedByteCount);
  const setMuted = (value) =>
    page.evaluate((value) => {
      document.querySelector('edge-player').muted = value;
    }, value);
  /** Bytes of sound in a second. */
  const rate = async () => {
    const [from, before] = [performance.now(), await soundBytes()];
    await sleep(3000);
    return ((await soundBytes()) - before) / ((performance.now() - from) / 1000);
  };
  const hasSound = await video(
    () => document.querySelector('edge-player').video.webkitAudioDecodedByteCount > 0,
  );
  expect(hasSound, 'there is a track of sound: without one there is no button for it');
  const silent = await rate();
  expect(silent < MOST_SILENT, `what nobody hears is silence: ${silent} bytes a second`);
  // Each time in a page that does it first.
  const stillOver = (change) =>
    leastStill(LESS_THAN_A_GOP_MS, async (tries) => {
      if (tries > 0) {
        await page.reload();
        await isThisDocument(page);
        await isLive(page);
      }
      await longestStill(page);
      await change();
      return longestStill(page);
    });
  let loud = 0;
  let [before, after] = [];
  const still = await stillOver(async () => {
    before = await stats(page);
    await setMuted(false);
    loud = 0;
    for (let tries = 0; tries < 4 && loud < LEAST_LOUD; tries += 1) loud = await rate();
    after = await goesOn(page, await stats(page), 10);
  });
  console.log(
    `heard: ${silent.toFixed(0)}, ${loud.toFixed(0)} bytes/s, ${still} ms without a frame, ${short(after)}`,
  );
  expect(loud > LEAST_LOUD, `the camera's sound is played: ${loud} bytes a second`);
  expect(still < LESS_THAN_A_GOP_MS, `the picture goes on as the sound is turned on: ${still} ms`);
  expect(after.reopened === before.reopened, 'and nothing is opened anew');
  // Who can't decide.
  const quiet = await stillOver(async () => {
    for (const value of [true, false, true, false, true]) {
      await setMuted(value);
      await sleep(1200);
    }
  });
  expect(quiet < LESS_THAN_A_GOP_MS, `nor as it is turned off and on: ${quiet} ms`);
  await goesOn(page, await stats(page), 10);
  const again = await rate();
  expect(again < MOST_SILENT, `silence again: ${again} bytes a second`);
}

/** One part of this place in a segment, for ever; how long there was no frame. */
async function withoutOne(page, [place, status, cors]) {
  const before = await stats(page);
  await longestStill(page);
  let chosen = null;
  const lose = (route) => {
    const number = Number(PART.exec(route.request().url())?.[1]);
    if (chosen === null && number % 5 === place) chosen = number;
    const headers = cors ? { 'access-control-allow-origin': '*' } : {};
    return number === chosen ? route.fulfill({ status, headers, body: '' }) : route.continue();
  };
  await page.route(PART, lose);
  let after;
  try {
    await until(page, 15, `part ${place} given up`, ({ partsLost }) => partsLost > before.partsLost);
    after = await goesOn(page, await stats(page), 10);
  } finally {
    await page.unroute(PART, lose);
  }
  const still = await longestStill(page);
  console.log(`lost: part ${place} of a segment: ${still} ms without a frame, ${short(after)}`);
  expect(after.reopened === before.reopened, 'without opening it anew');
  return still;
}

/** As S3 says it, as Supabase does, and as a CDN without CORS headers. */
async function lost({ page }) {
  await isLive(page);
  for (const loss of [
    [0, 404, true],
    [2, 400, true],
    [4, 404, false],
  ]) {
    const still = await leastStill(OVER_A_LOST_PART_MS, () => bestOf(3, () => withoutOne(page, loss)));
    expect(still < OVER_A_LOST_PART_MS, `it plays on behind part ${loss[0]}: ${still} ms`);
  }
}

/** The viewer's network is gone for 10 s. */
async function offline({ page }) {
  const before = await isLive(page);
  await page.context().setOffline(true);
  await sleep(10_000);
  await page.context().setOffline(false);
  const from = performance.now();
  await goesOn(page, await stats(page), 10);
  const after = await stats(page);
  console.log(
    `offline: plays again after ${((performance.now() - from) / 1000).toFixed(1)} s, ${short(after)}`,
  );
  expect(after.reopened === before.reopened, 'without opening it anew');
}

/** A hidden page lets the stream go after a minute, and is live at once when it is back. */
async function hidden({ page }) {
  await isLive(page);
  await hide(page, true, false);
  await until(page, RESTS_AFTER_S + 15, 'rest', ({ state }) => state === 'paused');
  const resting = await stats(page);
  let asked = 0;
  const count = () => {
    asked += 1;
  };
  page.on('request', count);
  await sleep(4000);
  page.off('request', count);
  expect(asked === 0, `nothing is asked for: ${asked} requests`);
  await hide(page, false);
  const from = performance.now();
  await goesOn(page, resting, 10);
  console.log(`hidden: live after ${((performance.now() - from) / 1000).toFixed(1)} s`);
}

/** Back within the minute, it is where it was: what came meanwhile is not watched late. */
async function away({ page }) {
  const before = await isLive(page);
  await hide(page, true);
  await sleep(7000);
  await hide(page, false);
  await until(page, 15, 'live at once', ({ state, latency }) => {
    return state === 'live' && latency < before.latency + 1;
  });
  expect((await stats(page)).reopened === before.reopened, 'without opening it anew');
}

async function mounted({ page }) {
  await isLive(page);
  await mountedOften(page);
  const { buffered, currentTime } = await isLive(page);
  const [first, last] = [buffered[0], buffered.at(-1)];
  expect(currentTime - first[0] < MOST_KEPT_S, `what was shown is let go: ${JSON.stringify(buffered)}`);
  expect(
    last[1] - currentTime < MOST_KEPT_S,
    `no more is fetched than is watched: ${JSON.stringify(buffered)}`,
  );
}

/** Who paused is not told that the camera is away, as nobody asks it; and goes on at the edge. */
async function paused({ page }) {
  await isLive(page);
  const pause = () => page.evaluate(() => document.querySelector('edge-player').pause());
  await pause();
  await until(page, 5, 'pause', ({ state }) => state === 'paused');
  // Longer than a silent stream takes to be told offline, behind what is fetched ahead.
  for (const from = performance.now(); performance.now() - from < PAUSED_S * 1000; ) {
    const { state, label } = await stats(page);
    expect(state === 'paused', `it is the viewer who paused: ${label}`);
    await sleep(500);
  }
  await page.evaluate(() => document.querySelector('edge-player').play());
  await goesOn(page, await stats(page), 10);
}

/** Opened before there are parts: it goes over to them. */
async function early({ page, shot }) {
  await isLive(page, EARLY_WITHIN_S);
  await shot('parts-early');
}

/** Nothing answers for so long that it is said; then it plays on. */
async function silent({ page, shot }) {
  await isLive(page);
  const cut = (route) => route.abort('connectionfailed');
  await page.route(MEDIA, cut);
  await until(page, 20, 'reconnecting', ({ state }) => state === 'reconnecting');
  await until(page, 60, 'offline', ({ state }) => state === 'offline');
  const { label } = await stats(page);
  expect(/^offline since \d\d:\d\d$/.test(label), `it says since when: ${label}`);
  await shot('parts-offline');
  await page.unroute(MEDIA, cut);
  await goesOn(page, await stats(page), 20);
}

/** Parts that do not get through are left for whole segments, and taken again when they do. */
async function left({ page }) {
  await isLive(page);
  const cut = (route) =>
    route.fulfill({ status: 404, headers: { 'access-control-allow-origin': '*' }, body: '' });
  await page.route(PART, cut);
  await until(page, 60, 'whole segments', ({ state, protocol }) => state === 'live' && protocol === 'hls.js');
  await page.unroute(PART, cut);
  const seen = await stats(page);
  const machine = watchPauses();
  await longestStill(page);
  const looks = [];
  const changed = await until(page, BACK_WITHIN_S, 'parts again', ({ protocol, reopened }) => {
    const atMs = performance.now();
    looks.push({ atMs, reopened });
    while (looks.length > 1 && atMs - looks[1].atMs > BEFORE_A_CHANGE_MS) looks.shift();
    return protocol === 'sub_second';
  });
  const from = performance.now();
  const now = await goesOn(page, changed, 15);
  const afterMs = performance.now() - from;
  const still = await longestStill(page, afterMs + BEFORE_A_CHANGE_MS);
  console.log(`left: live by parts ${Math.round(afterMs)} ms after the change, ${still} ms without a frame`);
  expect(still < OVER_A_CHANGE_MS, `the picture hardly stands over the change: ${still} ms`);
  expect(now.reopened === looks[0].reopened, 'not as its picture stood still');
  const isQuiet = lengthOf(machine.seen()) === 0;
  machine.stop();
  expect(!isQuiet || now.reopened === seen.reopened, 'nor did it stand still before');
}

/** A small picture of a wall is not worth parts, but while whole segments make way for them; of that one a sheet is made up. */
async function small({ page }) {
  await isLive(page);
  const wholes = (isThere) => async (route) => {
    const answer = await route.fetch();
    const sheet = await answer.json();
    sheet.parts.whole_segments = isThere;
    await route.fulfill({ response: answer, json: sheet });
  };
  const [gone, back] = [wholes(false), wholes(true)];
  const cut = (route) =>
    route.fulfill({ status: 404, headers: { 'access-control-allow-origin': '*' }, body: '' });
  const setParts = (value) =>
    page.evaluate((value) => document.querySelector('edge-player').setAttribute('parts', value), value);
  await setParts('off');
  const by = (protocol, seconds) =>
    until(page, seconds, protocol, (seen) => seen.state === 'live' && seen.protocol === protocol);
  await by('hls.js', LIVE_WITHIN_S);
  await page.route(WHOLE, cut);
  await page.route(SHEET, gone);
  await by('sub_second', 90);
  // Who comes now need not wait until the picture has stood for long.
  await setParts('on');
  await isLive(page);
  await setParts('off');
  const { reopened } = await by('sub_second', 30);
  expect(reopened === 0, 'told by the sheet, not by a picture that stands');
  await page.unroute(WHOLE, cut);
  await page.unroute(SHEET, gone);
  await page.route(SHEET, back);
  const from = performance.now();
  // It is believed when it is said again, a minute later.
  await by('hls.js', 120 + LIVE_WITHIN_S);
  console.log(`small: whole segments again after ${((performance.now() - from) / 1000).toFixed(0)} s`);
  await page.unroute(SHEET, back);
  await setParts('on');
  await isLive(page);
}

/** Whoever runs this reads the line and takes it away. */
function taken(what, seconds) {
  return async ({ page }) => {
    await isLive(page);
    const before = await stats(page);
    await longestStill(page);
    console.log(`${what}: now`);
    await until(page, 20, 'a picture that waits', ({ stalls }) => stalls > before.stalls);
    const after = await goesOn(page, await stats(page), seconds);
    console.log(`${what}: ${await longestStill(page)} ms without a frame, ${short(after)}`);
  };
}

const STEPS = {
  steady,
  heard,
  lost,
  offline,
  ffmpeg: taken('ffmpeg', 40),
  agent: taken('agent', 60),
  storage: taken('storage', 90),
  away,
  mounted,
  hidden,
  paused,
  silent,
  left,
  small,
};
/** Of another agent. */
const ON_ITS_OWN = { early };

async function run(wanted, profile) {
  const context = await launch(profile, { width: 1280, height: 800 });
  const faults = [];
  try {
    const page = context.pages()[0] ?? (await context.newPage());
    await page.addInitScript(witness);
    await page.addInitScript(counting);
    const heard = listen(page);
    const shot = (name) => page.screenshot({ path: join(wanted.shots, `player-${name}.png`) });
    await page.goto(wanted.page, { waitUntil: 'domcontentloaded' });
    await isThisDocument(page);
    const steps = wanted.only.length
      ? Object.entries({ ...STEPS, ...ON_ITS_OWN }).filter(([name]) => wanted.only.includes(name))
      : Object.entries(STEPS);
    for (const [name, step] of steps) {
      try {
        await step({ ...wanted, page, shot });
        console.log(`${name}: well`);
      } catch (error) {
        await shot(`parts-${name}-fault`);
        faults.push(`${name}: ${error.message}`);
      }
    }
    // Chromium tells of answers without CORS headers; one step makes some.
    const errors = heard.consoleErrors.filter((text) => !text.includes('CORS policy'));
    faults.push(...errors.map((error) => `console: ${error}`));
  } finally {
    await context.close();
  }
  return faults;
}

async function main() {
  const wanted = options();
  mkdirSync(wanted.shots, { recursive: true });
  const profile = scratchFolder();
  try {
    for (const fault of await run(wanted, profile)) {
      console.error(`parts: ${fault}`);
      process.exitCode = 1;
    }
  } finally {
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

main().catch((error) => {
  console.error(`parts: ${error.message}`);
  process.exitCode = 2;
});

// Takes one player page through its states in headless Chromium: live, paused, behind, reconnecting, offline, a phone's
// width, the keyboard, what a screen reader is told, a tab that was away, mounting, moving and a lost segment.
//
//   node states.mjs --page URL --shots FOLDER [--only NAME ...]
//
// Exit 0: all was as it should be. 1: not all, with the reasons. 2: it could not be tried.
import { mkdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { beforehand, followed, session, unasked } from './doors.mjs';
import { heldUp, SEGMENTS } from './held-up.mjs';
import { launch, listen, scratchFolder } from './play.mjs';
import { bestOf, expect, stats, until } from './steps.mjs';
import { counting, hide, mountedOften } from './visits.mjs';

const LIVE_WITHIN_S = 40;
const MEDIA = /\.(m3u8|ts|m4s|mp4)(\?|$)/;
/** The edge goes on by several segments: they come in lumps, and it may have been nearer to it than it is to be. */
const EDGE_ON_S = 9;
/** Paused for longer than a minute, it lets the stream go. */
const PAUSED_WITHIN_S = 50;

function options() {
  const { values } = parseArgs({
    options: {
      page: { type: 'string' },
      shots: { type: 'string' },
      only: { type: 'string', multiple: true, default: [] },
    },
  });
  if (!values.page || !values.shots) throw new Error('see the head of this file');
  return values;
}

/** Runs before the page's own scripts: keeps each state that it was in. */
function witness() {
  window.seenStates = [];
  addEventListener('edge-state', ({ detail }) => window.seenStates.push(detail), true);
}

const isLive = (page) => until(page, LIVE_WITHIN_S, 'live', ({ state }) => state === 'live');
const player = (page) => page.locator('edge-player');

async function live({ page, shot }) {
  await isLive(page);
  await player(page).getByRole('button', { name: 'Stats' }).click();
  await until(page, 20, 'bit rate and latency', ({ bitrateKbps, latency }) => bitrateKbps > 0 && latency > 0);
  await sleep(1000);
  const panel = await player(page).locator('dl').innerText();
  for (const name of ['Latency', 'Buffer', 'Bitrate', 'Dropped frames', 'Stalls', 'Requests'])
    expect(panel.includes(name), `the panel has ${name}`);
  await shot('live');
  await player(page).getByRole('button', { name: 'Stats' }).click();
}

async function keyboard({ page, shot }) {
  await isLive(page);
  await page.locator('body').click({ position: { x: 2, y: 2 } });
  await page.keyboard.press('Tab');
  const focused = () =>
    page.evaluate(() => {
      const inner = document.activeElement?.shadowRoot?.activeElement;
      return inner?.textContent || inner?.localName || null;
    });
  expect((await focused()) === 'video', `Tab reaches the video first, not ${await focused()}`);
  await page.keyboard.press('m');
  expect(!(await page.evaluate(() => document.querySelector('edge-player').muted)), 'm brings the sound');
  await page.keyboard.press('m');
  await page.keyboard.press('s');
  expect(await player(page).locator('dl').isVisible(), 's opens the panel');
  await page.keyboard.press('s');
  await page.keyboard.press('k');
  const paused = await until(page, 20, 'paused', ({ state }) => state === 'paused');
  expect(
    await player(page).getByRole('button', { name: 'Go live' }).isVisible(),
    'it can be taken back to live',
  );
  await shot('paused');
  // Up to two segments of that are only expected.
  const isFar = ({ latencies }) => latencies.fromEdge > paused.latencies.fromEdge + EDGE_ON_S;
  const before = await until(page, PAUSED_WITHIN_S, 'edge that went on', isFar);
  const from = performance.now();
  await page.keyboard.press('l');
  // Play alone would not get there in that time.
  const played = () => (1.3 * (performance.now() - from)) / 1000;
  const jumped = ({ currentTime }) => currentTime - before.currentTime > played() + 3;
  await until(page, 8, 'way back to the live edge', jumped);
  await until(page, 20, 'live again', ({ state }) => state === 'live');
  // The video's own controls come between them.
  const names = [];
  for (let press = 0; press < 20 && !names.includes('Stats'); press += 1) {
    await page.keyboard.press('Tab');
    names.push(await focused());
  }
  expect(names.includes('Stats'), `Tab reaches the buttons: ${names}`);
}

async function reader({ page }) {
  await isLive(page);
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send('Accessibility.getFullAXTree');
  await session.detach();
  const told = nodes
    .filter(({ ignored }) => !ignored)
    .map(({ role, name }) => ({ role: role?.value, name: name?.value ?? '' }));
  const video = told.find(({ role }) => role === 'Video');
  expect(video?.name.startsWith('Live video of '), `the video has a name: ${JSON.stringify(video)}`);
  const unnamed = told.filter(({ role, name }) => ['button', 'link', 'slider'].includes(role) && !name);
  expect(unnamed.length === 0, `everything that can be pressed has a name: ${JSON.stringify(unnamed)}`);
  expect(
    told.some(({ role, name }) => role === 'button' && name === 'Stats'),
    'the panel has a button',
  );
  expect(
    told.some(({ role }) => role === 'heading'),
    'the page has a heading',
  );
  expect(
    told.some(({ role }) => role === 'status'),
    'there is a live region',
  );
  const said = () => player(page).locator('[role=status]').textContent();
  expect((await said()) === 'live', `it says the state: ${await said()}`);
}

/** Segments that take long put playback back, and it catches up. */
async function behind({ page, shot }) {
  await bestOf(3, async () => {
    await isLive(page);
    await heldUp(page);
    const { label } = await until(page, 20, 'behind', ({ state }) => state === 'behind');
    expect(/^behind by \d+ s$/.test(label), `it says by how much: ${label}`);
    await shot('behind');
  });
  await isLive(page);
}

async function offline({ page, shot }) {
  await isLive(page);
  const cut = (route) => route.abort('connectionfailed');
  await page.route(MEDIA, cut);
  await until(page, 40, 'reconnecting', ({ state }) => state === 'reconnecting');
  await shot('reconnecting');
  await until(page, 40, 'offline', ({ state }) => state === 'offline');
  const { label } = await stats(page);
  expect(/^offline since \d\d:\d\d$/.test(label), `it says since when: ${label}`);
  const said = await player(page).locator('[role=status]').textContent();
  expect(said === label, `the live region says so: ${said}`);
  await shot('offline');
  await page.unroute(MEDIA, cut);
  await isLive(page);
}

async function phone({ page, shot }) {
  const size = page.viewportSize();
  await page.setViewportSize({ width: 390, height: 844 });
  await isLive(page);
  await player(page).getByRole('button', { name: 'Stats' }).click();
  await sleep(700);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(overflow <= 0, `nothing is wider than the phone: ${overflow}`);
  await shot('phone');
  await player(page).getByRole('button', { name: 'Stats' }).click();
  await page.setViewportSize(size);
}

async function away({ page }) {
  await isLive(page);
  const before = await until(page, 40, 'near the edge', ({ playbackRate }) => playbackRate === 1);
  await hide(page, true);
  await sleep(7000);
  await hide(page, false);
  // Tempo alone would take half a minute.
  await until(page, 15, 'live at once', ({ state, latency, playbackRate }) => {
    return state === 'live' && latency < before.latency + 2.5 && playbackRate < 1.26;
  });
}

async function lost({ page }) {
  await isLive(page);
  const missing = new Set();
  const lose = (route) => {
    const name = new URL(route.request().url()).pathname;
    if (missing.size === 0) missing.add(name);
    return missing.has(name) ? route.fulfill({ status: 400, body: '' }) : route.continue();
  };
  const { reopened } = await stats(page);
  await page.route(SEGMENTS, lose);
  await until(page, 30, 'a picture behind the hole', ({ buffered, currentTime }) => {
    return buffered.length > 1 && currentTime > buffered.at(-1)[0];
  });
  await isLive(page);
  expect((await stats(page)).reopened === reopened, 'without opening it anew');
  await page.unroute(SEGMENTS, lose);
}

async function moved({ page }) {
  await isLive(page);
  const before = await page.evaluate(() => {
    const element = document.querySelector('edge-player');
    const home = element.parentElement;
    const elsewhere = home.appendChild(document.createElement('div'));
    elsewhere.append(element);
    const { src } = element.video;
    home.append(element);
    elsewhere.remove();
    return { src, ...element.stats() };
  });
  await until(page, 20, 'frames after a move', (now) => now.framesPresented > before.framesPresented + 5);
  const src = await page.evaluate(() => document.querySelector('edge-player').video.src);
  expect(src === before.src, 'the stream went on, it was not opened anew');
}

async function mounted({ page }) {
  await isLive(page);
  await mountedOften(page);
  await isLive(page);
}

/** A page of another origin, as docs/player.md has it, with two players and somebody who listens. */
async function elsewhere({ page }) {
  const { playlistUrl } = await isLive(page);
  const script = new URL('assets/edge-player.js', page.url()).href;
  const element = `<edge-player src="${playlistUrl}" muted autoplay></edge-player>`;
  const body = `<!doctype html><script type="module" src="${script}"></script>${element}${element}`;
  // A server of its own: Chromium lets no made-up page reach this machine.
  const server = createServer((_request, answer) => {
    answer.setHeader('content-type', 'text/html').end(body);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const other = await page.context().newPage();
  try {
    await other.addInitScript(() => {
      window.told = {};
      for (const name of ['edge-state', 'edge-latency', 'edge-report']) {
        addEventListener(name, ({ detail }) => {
          window.told[name] = detail;
        });
      }
    });
    await other.goto(`http://127.0.0.1:${server.address().port}/`);
    await other.waitForFunction(
      () => [...document.querySelectorAll('edge-player')].every(({ state }) => state === 'live'),
      null,
      { timeout: LIVE_WITHIN_S * 1000 },
    );
    await other.waitForFunction(() => window.told['edge-latency']?.latency > 0, null, { timeout: 30_000 });
    const told = await other.evaluate(() => window.told);
    expect(told['edge-state']?.label, `a state: ${JSON.stringify(told)}`);
    expect(told['edge-report']?.requests > 0, `a report: ${JSON.stringify(told)}`);
    // Another threshold is another alert, and told at once.
    const report = await other.evaluate(
      () =>
        new Promise((resolve) => {
          const player = document.querySelector('edge-player');
          player.onreport = resolve;
          player.setAttribute('thresholds', 'start=0.001');
        }),
    );
    expect(report.alerts.includes('start') && report.firstPicture > 0, JSON.stringify(report));
  } finally {
    await other.close();
    server.close();
  }
}

/** Where there is no MediaSource, as on iPhones before iOS 17.1, the browser's own HLS plays it. */
async function native({ page }) {
  await isLive(page);
  const other = await page.context().newPage();
  try {
    await other.addInitScript(() => {
      for (const name of ['MediaSource', 'ManagedMediaSource', 'WebKitMediaSource']) delete window[name];
    });
    await other.goto(page.url());
    const begun = await until(other, LIVE_WITHIN_S, 'live by itself', ({ state }) => state === 'live');
    expect(begun.protocol === 'native', `the browser's own HLS plays, not ${begun.protocol}`);
    await until(other, 20, '8 s more', ({ currentTime }) => currentTime > begun.currentTime + 8);
    // Its own retries end; the player's do not.
    await other.route(MEDIA, (route) => route.abort());
    await until(other, 60, 'sign of it', ({ state }) => state !== 'live');
    await other.unroute(MEDIA);
    const again = await until(other, LIVE_WITHIN_S, 'live again', ({ state }) => state === 'live');
    const seen = ({ framesPresented }) => framesPresented > again.framesPresented + 50;
    await until(other, 20, 'fifty frames more', seen);
  } finally {
    await other.close();
  }
}

/** What a page sets before the class is there counts, and what is muted stays so wherever it is put. */
async function early({ page }) {
  const { playlistUrl } = await isLive(page);
  const script = new URL('assets/edge-player.js', page.url()).href;
  const body = `<!doctype html><div id="a"><edge-player></edge-player></div><div id="b"></div><script>
    const early = document.querySelector('edge-player');
    Object.assign(early, { src: ${JSON.stringify(playlistUrl)}, muted: true, autoplay: true });
    early.onreport = (report) => { window.reported = report; };
  </script><script type="module" src="${script}"></script>`;
  const server = createServer((_request, answer) => {
    answer.setHeader('content-type', 'text/html').end(body);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const other = await page.context().newPage();
  try {
    await other.goto(`http://127.0.0.1:${server.address().port}/`);
    await other.waitForFunction(() => document.querySelector('edge-player').state === 'live', null, {
      timeout: LIVE_WITHIN_S * 1000,
    });
    await other.waitForFunction(() => window.reported?.requests > 0, null, { timeout: 30_000 });
    const muted = await other.evaluate(() => {
      const player = document.querySelector('edge-player');
      const before = player.muted;
      // As the viewer does it; then the page puts it elsewhere.
      player.muted = false;
      document.querySelector('#b').append(player);
      return { before, after: player.muted, frames: player.stats().framesPresented };
    });
    expect(muted.before === true && muted.after === false, JSON.stringify(muted));
    const goesOn = (frames) => {
      const player = document.querySelector('edge-player');
      return player.state === 'live' && player.stats().framesPresented > frames + 5;
    };
    await other.waitForFunction(goesOn, muted.frames, { timeout: 20_000 });
    // As React does it.
    await other.evaluate((src) => {
      const one = document.createElement('edge-player');
      Object.assign(one, { id: 'made', muted: true, autoplay: true, stats: true, src });
      document.body.append(one);
      // And by attributes, once it is in the page.
      const late = document.createElement('edge-player');
      document.body.append(late);
      late.id = 'late';
      late.setAttribute('muted', '');
      Object.assign(late, { autoplay: true, src });
    }, playlistUrl);
    for (const id of ['#made', '#late']) {
      await other.waitForFunction((id) => document.querySelector(id).state === 'live', id, {
        timeout: LIVE_WITHIN_S * 1000,
      });
      expect(await other.evaluate((id) => document.querySelector(id).muted, id), `${id} is muted`);
    }
    const [panel, method] = await other.evaluate(() => {
      const made = document.querySelector('#made');
      return [made.getAttribute('stats'), made.stats()?.state];
    });
    expect(panel === '' && method === 'live', `a panel, and a method of that name: ${panel} ${method}`);
  } finally {
    await other.close();
    server.close();
  }
}

/** Not by itself: of a stream that this browser has no decoder for. */
async function unplayable({ page, shot }) {
  await until(page, 60, 'a word of it', ({ state }) => state === 'unplayable');
  const { label } = await stats(page);
  expect(label === "this browser can't play this video (H.265)", label);
  const said = await player(page).locator('[role=status]').textContent();
  expect(said === label, `the live region says so: ${said}`);
  await sleep(15_000);
  const seen = await page.evaluate(() => window.seenStates.map(({ state }) => state));
  const since = seen.slice(seen.indexOf('unplayable'));
  expect(since.join() === 'unplayable', `it stays so while it is tried again: ${since}`);
  await shot('unplayable');
}

const OVER = '#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:9\n#EXT-X-ENDLIST\n';

/** What the agent leaves of a stream on demand that nobody wanted for long: only status.json tells when it was there. */
async function over({ page, shot }) {
  await isLive(page);
  const other = await page.context().newPage();
  try {
    await other.route(/\.m3u8/, (route) =>
      route.fulfill({ contentType: 'application/vnd.apple.mpegurl', body: OVER }),
    );
    await other.route(/\/status\.json/, async (route) => {
      const answer = await route.fetch();
      const told = { ...(await answer.json()), phase: 'ended', reason: null };
      await route.fulfill({ response: answer, json: { ...told, last_segment_at: '2026-11-01T14:32:00Z' } });
    });
    await other.goto(page.url(), { waitUntil: 'domcontentloaded' });
    const { label } = await until(other, 60, 'offline', ({ state }) => state === 'offline');
    expect(/^offline since .*\d\d:\d\d$/.test(label), `it says since when: ${label}`);
    const hint = await player(other).locator('.hint').textContent();
    expect(hint === 'it runs on demand', `and why: ${hint}`);
    await other.screenshot({ path: shot.path('over') });
  } finally {
    await other.close();
  }
}

/** Not by itself: whoever runs this reads the line and takes the camera away. */
async function gone({ page, shot }) {
  await isLive(page);
  console.log('gone: now');
  await until(page, 90, 'offline', ({ state }) => state === 'offline');
  const { label, reopened } = await stats(page);
  expect(/^offline since \d\d:\d\d$/.test(label), `it says since when: ${label}`);
  expect(reopened === 0, 'nothing is opened anew while the playlist says that there is nothing');
  await shot('gone');
}

const STEPS = {
  live,
  keyboard,
  reader,
  phone,
  away,
  moved,
  mounted,
  lost,
  elsewhere,
  native,
  early,
  over,
  followed,
  session,
  unasked,
  beforehand,
  behind,
  offline,
};
const ON_DEMAND = { gone, unplayable };

async function run(wanted, profile) {
  const context = await launch(profile, { width: 1280, height: 800 });
  const faults = [];
  try {
    const page = context.pages()[0] ?? (await context.newPage());
    await page.addInitScript(witness);
    await page.addInitScript(counting);
    const heard = listen(page);
    const path = (name) => join(wanted.shots, `player-${name}.png`);
    const shot = Object.assign((name) => page.screenshot({ path: path(name) }), { path });
    await page.goto(wanted.page, { waitUntil: 'domcontentloaded' });
    const steps = wanted.only.length
      ? Object.entries({ ...STEPS, ...ON_DEMAND }).filter(([name]) => wanted.only.includes(name))
      : Object.entries(STEPS);
    for (const [name, step] of steps) {
      const from = performance.now();
      try {
        await step({ page, shot });
        console.log(`${name}: well, ${((performance.now() - from) / 1000).toFixed(1)} s`);
      } catch (error) {
        await shot(`${name}-fault`);
        faults.push(`${name}: ${error.message}`);
      }
    }
    faults.push(...heard.consoleErrors.map((error) => `console: ${error}`));
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
      console.error(`states: ${fault}`);
      process.exitCode = 1;
    }
  } finally {
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

main().catch((error) => {
  console.error(`states: ${error.message}`);
  process.exitCode = 2;
});

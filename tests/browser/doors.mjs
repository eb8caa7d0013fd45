// What opens and closes a stream from without: an address that is good no more, a session that is over, and the viewer's
// own hand.
import { createServer } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, stats, until } from './steps.mjs';
import { hide } from './visits.mjs';

const LIVE_WITHIN_S = 40;
/** Without a pause of the picture that is longer: the signed address of a stream ends now and then. */
const FOLLOWED_WITHIN_S = 15;
const CATALOG = /\/api\/cameras\.json$/;

const isLive = (page) => until(page, LIVE_WITHIN_S, 'live', ({ state }) => state === 'live');

async function inAnother({ page }, step) {
  await isLive(page);
  const other = await page.context().newPage();
  try {
    await step(other);
  } finally {
    await other.close();
  }
}

/** The list of cameras has a new address when the old one is refused. */
export const followed = (stage) =>
  inAnother(stage, async (page) => {
    let [door, asked] = [1, 0];
    await page.route(CATALOG, async (route) => {
      asked += 1;
      const answer = await route.fetch();
      const cameras = (await answer.json()).map((camera) => {
        const url = new URL(camera.playlist_url, page.url());
        url.searchParams.set('door', String(door));
        return { ...camera, playlist_url: url.href };
      });
      await route.fulfill({ response: answer, json: cameras });
    });
    await page.route(/\.m3u8\?(.*&)?door=\d/, (route) => {
      const isGood = route.request().url().includes(`door=${door}`);
      return isGood ? route.continue() : route.fulfill({ status: 403, body: '' });
    });
    await page.goto(stage.page.url(), { waitUntil: 'domcontentloaded' });
    const before = await until(page, LIVE_WITHIN_S, 'first door', ({ state }) => state === 'live');
    expect(before.playlistUrl.includes('door=1'), before.playlistUrl);
    asked = 0;
    door = 2;
    await until(page, FOLLOWED_WITHIN_S, 'second door', ({ playlistUrl }) => playlistUrl.includes('door=2'));
    const goesOn = ({ state, framesPresented }) =>
      state === 'live' && framesPresented > before.framesPresented + 20;
    await until(page, FOLLOWED_WITHIN_S, 'picture behind it', goesOn);
    expect((await stats(page)).reopened === 0, 'it followed before it was opened anew');
    expect(asked <= 2, `the list was asked for ${asked} times`);
  });

/** The token was withdrawn, or it is a day later: the page itself is refused like all else, until there is another session. */
export const session = (stage) =>
  inAnother(stage, async (page) => {
    await page.goto(stage.page.url(), { waitUntil: 'domcontentloaded' });
    await isLive(page);
    const refuse = (route) => route.fulfill({ status: 401, json: { error: 'refused' } });
    await page.route(CATALOG, refuse);
    const { framesPresented } = await heldUpFor(page, 6000);
    await until(page, 20, 'frames of a stream that needs no session', (now) => {
      return now.state === 'live' && now.framesPresented > framesPresented;
    });
    await page.route('**', refuse);
    // The list was asked for twice a moment ago: the third time is 24 s later, behind what is buffered.
    await page.getByText('the session is over').waitFor({ timeout: 60_000 });
    expect((await page.locator('edge-player').count()) === 0, 'nothing plays beside that');
    await page.screenshot({ path: stage.shot.path('session') });
    await page.unroute('**');
    await page.unroute(CATALOG);
    await page.locator('edge-player').waitFor({ timeout: 30_000 });
    await isLive(page);
  });

/** The stream alone is away for a while, for long enough that its address is asked for. */
async function heldUpFor(page, ms) {
  await page.route(/\/streams\//, (route) => route.abort());
  await until(page, 30, 'still picture', ({ state }) => state === 'reconnecting');
  await sleep(ms);
  await page.unroute(/\/streams\//);
  return stats(page);
}

/** A page of somebody else's, with one player, which nobody starts. */
const inOwnPage = (stage, step) =>
  inAnother(stage, async (page) => {
    const { playlistUrl } = await stats(stage.page);
    const script = new URL('assets/edge-player.js', stage.page.url()).href;
    const body = `<!doctype html><edge-player src="${playlistUrl}" muted></edge-player>
      <script type="module" src="${script}"></script><script type="module">
        const player = document.querySelector('edge-player');
        window.edgePlayer = player;
        // In the midst of what it tells.
        player.addEventListener('edge-state', () => { (window.told ??= []).push(player.stats().state); });
      </script>`;
    const server = createServer((_request, answer) => {
      answer.setHeader('content-type', 'text/html').end(body);
    });
    await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
    try {
      await page.goto(`http://127.0.0.1:${server.address().port}/`);
      await step(page, playlistUrl);
    } finally {
      server.close();
    }
  });

const isPaused = (page) => page.evaluate(() => window.edgePlayer.video.paused);

/** What is said to a player before it has a stream holds. */
export const beforehand = (stage) =>
  inOwnPage(stage, async (page, src) => {
    const make = (order) =>
      page.evaluate(
        ([src, order]) => {
          window.edgePlayer.remove();
          const player = document.createElement('edge-player');
          for (const name of ['muted', order === 'pause' ? 'autoplay' : 'controls'])
            player.setAttribute(name, '');
          player.setAttribute('parts', 'off');
          document.body.append(player);
          player[order]()?.catch(() => {});
          player.src = src;
          window.edgePlayer = player;
        },
        [src, order],
      );
    await make('pause');
    await until(
      page,
      LIVE_WITHIN_S,
      'picture',
      ({ state, buffered }) => state === 'paused' && buffered.length > 0,
    );
    await sleep(1500);
    expect(await isPaused(page), 'what was paused before it had a stream does not play');
    await make('play');
    await isLive(page);
    await page.evaluate(() => window.edgePlayer.setAttribute('cache-busting', 'off'));
    await until(page, LIVE_WITHIN_S, 'new stream', ({ state }) => state !== 'live');
    await isLive(page);
  });

/** What the viewer did not start does not start by itself, and what the viewer stopped stays so. */
export const unasked = (stage) =>
  inOwnPage(stage, async (page) => {
    await until(page, LIVE_WITHIN_S, 'picture', ({ state }) => state === 'paused');
    await hide(page, true, false);
    await hide(page, false);
    await sleep(1000);
    expect(await isPaused(page), 'a glance at another tab starts nothing');
    await page.evaluate(() => window.edgePlayer.play());
    await isLive(page);
    // As by the keyboard's media keys.
    await page.evaluate(() => {
      window.edgePlayer.muted = false;
    });
    await hide(page, true, false);
    await sleep(2500);
    await page.evaluate(() => window.edgePlayer.video.pause());
    await sleep(1000);
    await hide(page, false);
    await sleep(1000);
    expect(await isPaused(page), 'what was paused from without stays so');
    await page.evaluate(() => window.edgePlayer.goLive());
    await isLive(page);
    // As phones do it: their pause comes before the page is told that it is hidden.
    await page.evaluate(async () => {
      const { video } = window.edgePlayer;
      const paused = new Promise((resolve) => video.addEventListener('pause', resolve, { once: true }));
      video.pause();
      await paused;
      Object.defineProperty(document, 'hidden', { configurable: true, get: () => true });
      document.dispatchEvent(new Event('visibilitychange'));
    });
    await sleep(3000);
    await hide(page, false);
    await isLive(page);
    expect(!(await isPaused(page)), 'what the browser paused goes on');
    await page.evaluate(() => window.edgePlayer.pause());
    await sleep(3000);
    await page.evaluate(() => window.edgePlayer.setAttribute('autoplay', ''));
    await sleep(1000);
    expect(await isPaused(page), 'what the viewer paused stays so');
    // The same stream opened anew, in three ways.
    await page.evaluate(async () => {
      const player = window.edgePlayer;
      const after = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
      player.remove();
      await after(500);
      document.body.append(player);
      await after(1500);
      player.setAttribute('cache-busting', 'off');
      await after(1500);
      player.src = `${player.src}?t=1`;
    });
    await until(
      page,
      LIVE_WITHIN_S,
      'picture',
      ({ state, buffered }) => state === 'paused' && buffered.length,
    );
    await sleep(1500);
    expect(await isPaused(page), 'also where the same stream is opened anew');
    await page.evaluate(() => {
      const player = window.edgePlayer;
      const { src } = player;
      player.removeAttribute('src');
      player.src = src;
    });
    await isLive(page);
    // As Chromium does with what it has paused itself, whatever the page says meanwhile.
    await page.evaluate(() => (window.edgePlayer.muted = true));
    await hide(page, true);
    await page.evaluate(() => window.edgePlayer.pause());
    await sleep(500);
    await page.evaluate(() => {
      Object.defineProperty(document, 'hidden', { configurable: true, get: () => false });
      document.dispatchEvent(new Event('visibilitychange'));
      Object.defineProperty(navigator, 'userActivation', { value: { isActive: false } });
      window.edgePlayer.video.play().catch(() => {});
    });
    await sleep(1000);
    expect(await isPaused(page), 'what the page stopped while hidden stays so');
    const told = await page.evaluate(() => window.told);
    expect(told.includes('live'), `its state can be asked for as it is told: ${told}`);
  });

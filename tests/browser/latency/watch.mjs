// Chromium with the page.
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { BROWSER_ARGS, chromiumPath, playwright } from '../play.mjs';
import { until } from './parts.mjs';

const SAMPLER = fileURLToPath(new URL('./sampler.js', import.meta.url));
const PICTURE_WITHIN_MS = 30_000;

export async function openBrowser() {
  const chromium = await playwright();
  return chromium.launch({
    executablePath: chromiumPath(),
    args: BROWSER_ARGS,
    // Ended in order by who opened it.
    handleSIGINT: false,
    handleSIGTERM: false,
    handleSIGHUP: false,
  });
}

/** A first visit: nothing of the page is in a cache. Returns when there is a picture; `isHeard`: its sound is turned on then. */
export async function openPage(browser, url, isHeard = false) {
  const { LATENCY_PLAYER: other } = process.env;
  const context = await browser.newContext({ viewport: { width: 960, height: 720 } });
  try {
    const page = await context.newPage();
    await page.addInitScript({ path: SAMPLER });
    // Another build of the player than the agent's, for whoever works on it.
    if (other) {
      await page.route('**/assets/*.js', (route) => {
        return route.fulfill({
          path: join(other, 'assets', basename(new URL(route.request().url()).pathname)),
        });
      });
    }
    await page.goto(url, { waitUntil: 'commit' });
    await until('picture with a clock', PICTURE_WITHIN_MS, () =>
      page.evaluate(() => globalThis.latencyLog.frames.length > 0),
    );
    // While there is a route, each request takes the way through this process.
    if (other) await page.unrouteAll();
    if (isHeard) {
      await page.evaluate(() => {
        document.querySelector('edge-player').muted = false;
      });
    }
    return page;
  } catch (error) {
    await context.close().catch(() => undefined);
    throw error;
  }
}

export const notes = (page) => page.evaluate(() => globalThis.latencyLog);

/** Seconds from the navigation to the first picture. */
export async function firstPicture(browser, url) {
  const page = await openPage(browser, url);
  try {
    const { openedMs, frames } = await notes(page);
    return (frames[0][0] - openedMs) / 1000;
  } finally {
    await page.context().close();
  }
}

/** What the player itself says at the end. */
export const stats = (page) => page.evaluate(() => globalThis.edgePlayer?.stats() ?? null);

/** What it would tell an operator. */
export const reported = (page) =>
  page.evaluate(() => document.querySelector('edge-player')?.report() ?? null);

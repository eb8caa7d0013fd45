// Opens the page's wall of cameras in headless Chromium: still pictures where there are some, else streams, and no more
// of them than may play at a time; scrolled, on a phone, by keyboard and as a screen reader has it.
//
//   node cameras.mjs --page URL --shots FOLDER --cameras N --stills N [--only STEP ...] [--name wall]
//
// The page's address has a bound of 3 (`?playing=3`). Exit 0: all was as it should be. 1: not all, with the reasons.
// 2: it could not be tried.
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { launch, listen, scratchFolder } from './play.mjs';
import { expect } from './steps.mjs';

const MOST = 3;
const WITHIN_S = 40;

function options() {
  const { values } = parseArgs({
    options: {
      page: { type: 'string' },
      shots: { type: 'string' },
      cameras: { type: 'string' },
      stills: { type: 'string' },
      only: { type: 'string', multiple: true, default: [] },
      name: { type: 'string', default: 'wall' },
    },
  });
  const [cameras, stills] = [Number(values.cameras), Number(values.stills)];
  if (!values.page || !values.shots || Number.isNaN(cameras + stills))
    throw new Error('see the head of this file');
  return { ...values, cameras, stills };
}

const tiles = (page) => page.evaluate(() => window.edgeWall?.tiles() ?? []);
const modes = (seen, mode) => seen.filter((tile) => tile.mode === mode);

async function until(page, words, isSo) {
  const from = performance.now();
  let seen = [];
  while (performance.now() - from < WITHIN_S * 1000) {
    seen = await tiles(page);
    expect(modes(seen, 'stream').length <= MOST, `no more than ${MOST} play at a time`);
    if (isSo(seen)) return seen;
    await sleep(150);
  }
  const short = seen.map(({ id, mode, visible, stats }) => `${id} ${mode} ${visible} ${stats?.label}`);
  throw new Error(`no ${words} within ${WITHIN_S} s: ${short.join('; ')}`);
}

const playing = (seen) => modes(seen, 'stream').filter(({ stats }) => stats?.state === 'live');

async function wide({ page, shot, cameras, stills }) {
  const most = Math.min(MOST, cameras - stills);
  await until(page, 'stills and streams', (seen) => {
    return modes(seen, 'still').length === stills && playing(seen).length === most;
  });
  const ages = await page.locator('.age:visible').allInnerTexts();
  const areAges = ages.every((text) => /^(just now|\d+ (s|min) ago)$/.test(text));
  expect(ages.length === stills && areAges, `each still picture says how old it is: ${ages}`);
  await shot('');
}

async function allLive({ page, shot, stills }) {
  await page.getByRole('button', { name: 'Play all' }).click();
  await until(page, 'streams in the place of stills', (seen) => playing(seen).length === MOST);
  expect(
    (await page.getByRole('button', { name: 'Play all' }).getAttribute('aria-pressed')) === 'true',
    'the button says that it is pressed',
  );
  await shot('-live');
  await page.getByRole('button', { name: 'Play all' }).click();
  await until(page, 'stills again', (seen) => modes(seen, 'still').length === stills);
}

/** A page that began with streams alone has never asked for pictures. */
async function notAllLive({ page, stills }) {
  const { href } = new URL(page.url());
  await page.goto(`${href}&wall=live`);
  await until(page, 'streams', (seen) => playing(seen).length === MOST);
  await page.getByRole('button', { name: 'Play all' }).click();
  await until(page, 'stills in the place of streams', (seen) => modes(seen, 'still').length === stills);
  await page.goto(href);
  await until(page, 'the wall again', (seen) => modes(seen, 'still').length === stills);
}

/** What leaves the view stops, what comes into it plays. */
async function scrolled({ page, shot }) {
  await page.setViewportSize({ width: 390, height: 500 });
  await page.getByRole('button', { name: 'Play all' }).click();
  const top = await until(page, 'a start', (seen) => playing(seen).length > 0 && !seen.at(-1).visible);
  const overflow = await page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  expect(overflow <= 0, `nothing is wider than the phone: ${overflow}`);
  await shot('-phone');
  await page.evaluate(() => scrollTo(0, document.documentElement.scrollHeight));
  await until(page, 'the last one', (seen) => seen.at(-1).stats?.state === 'live');
  const now = await until(page, 'an end of the first', (seen) => seen[0].mode !== 'stream');
  expect(top[0].visible && !now[0].visible, 'the first one left the view');
  await page.setViewportSize({ width: 1280, height: 800 });
}

async function reader({ page, cameras }) {
  const session = await page.context().newCDPSession(page);
  const { nodes } = await session.send('Accessibility.getFullAXTree');
  await session.detach();
  const told = nodes
    .filter(({ ignored }) => !ignored)
    .map(({ role, name }) => ({ role: role?.value, name: name?.value ?? '' }));
  const links = told.filter(({ role, name }) => role === 'link' && name);
  expect(links.length === cameras, `each camera is a link with its name: ${JSON.stringify(links)}`);
  const items = told.filter(({ role }) => role === 'listitem');
  expect(items.length === cameras, `they are a list: ${items.length}`);
  const bare = told.filter(({ role, name }) => ['image', 'Video', 'button'].includes(role) && !name);
  expect(bare.length === 0, `pictures and buttons have names: ${JSON.stringify(bare)}`);
}

/** One stop of the Tab key per camera; Enter opens it, and there is a way back. */
async function keyboard({ page, shot, cameras }) {
  await page.evaluate(() => scrollTo(0, 0));
  await page.getByRole('button', { name: 'Play all' }).focus();
  const names = [];
  for (let at = 0; at < cameras; at += 1) {
    await page.keyboard.press('Tab');
    names.push(await page.evaluate(() => document.activeElement.textContent));
  }
  expect(new Set(names).size === cameras, `Tab goes from camera to camera: ${names}`);
  await page.keyboard.press('Enter');
  await page.waitForURL(/[?&]camera=/);
  await page.waitForFunction(() => window.edgePlayer?.stats()?.state === 'live', null, { timeout: 40_000 });
  expect((await page.title()) === names.at(-1), `it plays that camera: ${await page.title()}`);
  await shot('-chosen');
  await page.getByRole('link', { name: 'All cameras' }).click();
  await page.waitForFunction(() => window.edgeWall, null, { timeout: 10_000 });
}

async function run(wanted, profile) {
  const context = await launch(profile, { width: 1280, height: 800 });
  const faults = [];
  try {
    const page = context.pages()[0] ?? (await context.newPage());
    const heard = listen(page);
    const shot = (more) => page.screenshot({ path: join(wanted.shots, `player-${wanted.name}${more}.png`) });
    await page.goto(wanted.page, { waitUntil: 'domcontentloaded' });
    const steps = [wide, allLive, notAllLive, reader, scrolled, keyboard];
    for (const step of steps.filter(({ name }) => !wanted.only.length || wanted.only.includes(name))) {
      try {
        await step({ ...wanted, page, shot });
        console.log(`${step.name}: well`);
      } catch (error) {
        await shot(`-${step.name}-fault`);
        faults.push(`${step.name}: ${error.message}`);
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
      console.error(`cameras: ${fault}`);
      process.exitCode = 1;
    }
  } finally {
    rmSync(profile, { recursive: true, force: true, maxRetries: 5 });
  }
}

main().catch((error) => {
  console.error(`cameras: ${error.message}`);
  process.exitCode = 2;
});

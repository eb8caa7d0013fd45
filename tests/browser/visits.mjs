// What a page is not only looked at for: tabs that are left, and players that come and go.
import { expect } from './steps.mjs';

/** Runs before the page's own scripts: counts what it takes and gives back. */
export function counting() {
  const held = { intervals: new Map(), urls: new Set(), workers: 0 };
  window.held = held;
  const { setInterval, clearInterval, Worker } = window;
  window.setInterval = (...args) => {
    const id = setInterval(...args);
    held.intervals.set(id, new Error().stack.split('\n').slice(2, 5).join(' < '));
    return id;
  };
  window.clearInterval = (id) => {
    held.intervals.delete(id);
    clearInterval(id);
  };
  const { createObjectURL, revokeObjectURL } = URL;
  URL.createObjectURL = (object) => {
    const url = createObjectURL.call(URL, object);
    held.urls.add(url);
    return url;
  };
  URL.revokeObjectURL = (url) => {
    held.urls.delete(url);
    revokeObjectURL.call(URL, url);
  };
  window.Worker = class extends Worker {
    constructor(...args) {
      super(...args);
      held.workers += 1;
    }
    terminate() {
      held.workers -= 1;
      super.terminate();
    }
  };
}

/** `pauses`: as browsers do it with a muted video of a hidden page. */
export function hide(page, isHidden, pauses = true) {
  return page.evaluate(
    ([isHidden, pauses]) => {
      Object.defineProperty(document, 'hidden', { configurable: true, get: () => isHidden });
      if (isHidden && pauses) document.querySelector('edge-player').video.pause();
      document.dispatchEvent(new Event('visibilitychange'));
    },
    [isHidden, pauses],
  );
}

/** Players of the page's stream, put there and taken away again: they leave nothing. */
export async function mountedOften(page) {
  const counts = await page.evaluate(async () => {
    const count = () => {
      const { intervals, urls, workers } = window.held;
      return { intervals: intervals.size, urls: urls.size, workers };
    };
    const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const { src } = document.querySelector('edge-player');
    const before = count();
    let most = 0;
    for (let round = 0; round < 60; round += 1) {
      const one = document.createElement('edge-player');
      one.setAttribute('muted', '');
      one.setAttribute('autoplay', '');
      one.src = src;
      document.body.append(one);
      await pause(round % 3 ? 0 : 150);
      most = Math.max(most, count().intervals);
      one.remove();
    }
    await pause(300);
    const whose = [...window.held.intervals].slice(before.intervals).map(([, stack]) => stack);
    return { before, most, after: count(), whose };
  });
  const { before, most, after } = counts;
  expect(most > before.intervals, 'players were mounted');
  for (const what of ['intervals', 'urls', 'workers'])
    expect(after[what] <= before[what], `no ${what} are left: ${JSON.stringify(counts)}`);
}

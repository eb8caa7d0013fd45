// How long the picture of a page stood.

const TRIES = 3;

/** Runs before the page's own scripts: when each frame was on screen. */
export function witness() {
  window.shownMs = [];
  const seen = () => {
    const video = document.querySelector('edge-player')?.video;
    if (!video) {
      setTimeout(seen, 20);
      return;
    }
    const frame = (now) => {
      window.shownMs.push(now);
      video.requestVideoFrameCallback(frame);
    };
    video.requestVideoFrameCallback(frame);
  };
  seen();
}

/** The longest time without a new frame, in ms: since the last call, or of the last `ofMs` of that alone. */
export function longestStill(page, ofMs = Number.MAX_VALUE) {
  return page.evaluate((ofMs) => {
    const [shown, nowMs] = [window.shownMs, performance.now()];
    window.shownMs = [nowMs];
    const stills = shown.slice(1).map((now, i) => (now > nowMs - ofMs ? now - shown[i] : 0));
    return Math.round(Math.max(0, ...stills));
  }, ofMs);
}

/** A busy machine may hold a picture up at any time. What a change costs, it costs each time. */
export async function leastStill(enoughMs, attempt) {
  let least = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < TRIES && least >= enoughMs; tries += 1)
    least = Math.min(least, await attempt(tries));
  return least;
}

// When the machine itself stood still. A page that blocks itself does not stop the clock of this process.

const TICK_MS = 100;
const PAUSE_MS = 400;

/** `seen()` gives the pauses until now: `[from, to]`, in ms of `performance.now()`. */
export function watchPauses() {
  const pauses = [];
  let lastMs = performance.now();
  const tick = () => {
    const nowMs = performance.now();
    if (nowMs - lastMs > PAUSE_MS) pauses.push([lastMs, nowMs]);
    lastMs = nowMs;
  };
  const timer = setInterval(tick, TICK_MS).unref();
  const seen = () => {
    // Whoever asks may come before the ticker.
    tick();
    return [...pauses];
  };
  return { seen, stop: () => clearInterval(timer) };
}

/** How long all of them were. */
export function lengthOf(pauses) {
  return pauses.reduce((sum, [from, to]) => sum + to - from, 0);
}

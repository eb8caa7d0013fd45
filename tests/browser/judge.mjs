// What the watcher saw, judged. Pure.

/** How strict: frames must grow in each `interval` seconds, and the stream go on for this part of the time. */
const ALONE = { interval: 2, pace: 0.8 };

/**
 * One look at the page: `at` and all times in seconds.
 * @typedef {{ at: number, framesPresented: number, currentTime: number, stalls: number, state: string,
 *   latency: number | null, seekable: [number, number] | null }} Sample
 */

/** The longest time without a new frame. @param {Sample[]} samples */
export function longestFreeze(samples) {
  let longest = 0;
  let since = samples[0];
  for (const sample of samples) {
    longest = Math.max(longest, sample.at - since.at);
    if (sample.framesPresented > since.framesPresented) since = sample;
  }
  return longest;
}

/** Why this was no good; empty when it was. @param {Sample[]} samples @param {number} seconds */
export function faults(samples, seconds, { interval, pace } = ALONE) {
  const faults = [];
  const first = samples.at(0);
  const last = samples.at(-1);
  if (!first || !last || last.at - first.at < seconds - 1) return ['too few looks at the page'];
  for (let from = first.at; from + interval <= last.at + 0.01; from += interval) {
    const within = samples.filter(({ at }) => at >= from - 0.01 && at <= from + interval + 0.3);
    const grown = within.at(-1).framesPresented - within[0].framesPresented;
    if (grown <= 0) faults.push(`no frame from second ${(from - first.at).toFixed(0)} for ${interval} s`);
  }
  const advanced = last.currentTime - first.currentTime;
  if (advanced < (last.at - first.at) * pace) {
    faults.push(`currentTime advanced ${advanced.toFixed(1)} s in ${(last.at - first.at).toFixed(1)} s`);
  }
  const back = samples.findIndex((sample, i) => i > 0 && sample.currentTime < samples[i - 1].currentTime);
  if (back > 0) faults.push(`currentTime went back at second ${(samples[back].at - first.at).toFixed(1)}`);
  const outside = samples.find(({ currentTime, seekable }) => {
    return !seekable || currentTime < seekable[0] - 0.5 || currentTime > seekable[1] + 0.5;
  });
  if (outside) faults.push(`currentTime ${outside.currentTime} outside the window ${outside.seekable}`);
  return faults;
}

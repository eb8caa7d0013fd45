// What the watcher saw, judged. Pure.

/**
 * How strict: frames must grow in each `interval` seconds, and the stream go on for this part (`pace`) of the time.
 * The machine's own `pauses`, in the time of the looks, and `settle` seconds behind each are not judged; this `share`
 * of the time wanted has to be.
 */
const ALONE = { interval: 2, pace: 0.8, settle: 1, share: 0.8, pauses: [] };
/** ffmpeg hangs up after 2.5 s of silence, and begins anew. */
const LONG_S = 2;
const ANEW_S = 6;

/**
 * One look at the page: `at` and all times in seconds.
 * @typedef {{ at: number, framesPresented: number, currentTime: number, stalls: number, state: string,
 *   latency: number | null, seekable: [number, number] | null }} Sample
 * @typedef {Partial<typeof ALONE>} How
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

/** Each pause with what may come of it. */
function troubles({ pauses, settle }) {
  return pauses.map(([from, to]) => [from, to + (to - from > LONG_S ? Math.max(settle, ANEW_S) : settle)]);
}

/** The looks between troubles; one list where there are none. */
function stretches(samples, how) {
  const all = troubles(how);
  const clear = samples.filter(({ at }) => !all.some(([from, to]) => at > from && at < to));
  const starts = [Number.NEGATIVE_INFINITY, ...all.map(([from]) => from)];
  return starts
    .map((start, i) => clear.filter(({ at }) => at > start && at <= (starts[i + 1] ?? at)))
    .filter((looks) => looks.length > 0);
}

/** Each whole interval of a stretch, and the looks in it. */
function intervalsOf(looks, interval) {
  const found = [];
  const end = looks.at(-1).at;
  for (let from = looks[0].at; from + interval <= end + 0.01; from += interval) {
    const within = looks.filter(({ at }) => at >= from - 0.01 && at <= from + interval + 0.3);
    found.push({ from, within });
  }
  return found;
}

function intervals(samples, all) {
  return stretches(samples, all).flatMap((looks) => intervalsOf(looks, all.interval));
}

/** What the pauses left is enough to judge by. @param {Sample[]} samples @param {number} seconds @param {How} [how] */
export function isEnough(samples, seconds, how) {
  const all = { ...ALONE, ...how };
  if (!all.pauses.length) return true;
  return intervals(samples, all).length * all.interval >= all.share * seconds;
}

function stillFaults(samples, all) {
  // With too few looks nobody saw one.
  return intervals(samples, all)
    .filter(({ within }) => !(within.at(-1)?.framesPresented > within[0]?.framesPresented))
    .map(({ from }) => `no frame from second ${(from - samples[0].at).toFixed(0)} for ${all.interval} s`);
}

function paceFaults(samples, all) {
  let [advanced, watched] = [0, 0];
  for (const looks of stretches(samples, all)) {
    advanced += looks.at(-1).currentTime - looks[0].currentTime;
    watched += looks.at(-1).at - looks[0].at;
  }
  if (advanced >= watched * all.pace) return [];
  return [`currentTime advanced ${advanced.toFixed(1)} s in ${watched.toFixed(1)} s`];
}

/** Why this was no good; empty when it was. @param {Sample[]} samples @param {number} seconds @param {How} [how] */
export function faults(samples, seconds, how) {
  const all = { ...ALONE, ...how };
  const first = samples.at(0);
  const last = samples.at(-1);
  if (!first || !last || last.at - first.at < seconds - 1) return ['too few looks at the page'];
  const faults = isEnough(samples, seconds, how) ? [] : ['the machine stood still for too long to judge'];
  faults.push(...stillFaults(samples, all), ...paceFaults(samples, all));
  const back = samples.findIndex((sample, i) => i > 0 && sample.currentTime < samples[i - 1].currentTime);
  if (back > 0) faults.push(`currentTime went back at second ${(samples[back].at - first.at).toFixed(1)}`);
  const outside = samples.find(({ currentTime, seekable }) => {
    return !seekable || currentTime < seekable[0] - 0.5 || currentTime > seekable[1] + 0.5;
  });
  if (outside) faults.push(`currentTime ${outside.currentTime} outside the window ${outside.seekable}`);
  return faults;
}

/** How often the player stood of itself. @param {Sample[]} samples @param {How} [how] */
export function stalls(samples, how) {
  const all = troubles({ ...ALONE, ...how });
  let count = samples[0]?.stalls ?? 0;
  for (const [i, now] of samples.entries()) {
    const before = samples[i - 1] ?? now;
    // It began somewhere between the two looks.
    const isTrouble = all.some(([from, to]) => before.at < to && now.at > from);
    if (!isTrouble) count += now.stalls - before.stalls;
  }
  return count;
}

/** How much of the time from one to the other the machine did not stand still. */
function ownMs(fromMs, toMs, pauses) {
  const lost = pauses.map(([from, to]) => Math.max(0, Math.min(to, toMs) - Math.max(from, fromMs)));
  return toMs - fromMs - lost.reduce((sum, ms) => sum + ms, 0);
}

/** A video's `[ms, currentTime]`, from the first frame on. The machine's own `pauses`, in the same ms, are nobody's stall. */
export function playback(looks, stallMs, pauses = []) {
  const at = looks.findIndex(([, time]) => time > 0);
  if (at < 0) return { firstFrameMs: null, playedS: 0, stalls: [] };
  const shown = looks.slice(at);
  const [first, last] = [shown[0], shown.at(-1)];
  const stalls = [];
  let [movedTo, stoodMs, lookedMs] = [first[1], 0, first[0]];
  for (const look of shown.slice(1)) {
    stoodMs += ownMs(lookedMs, look[0], pauses);
    lookedMs = look[0];
    if (look[1] <= movedTo && look !== last) continue;
    // A page that did not look for a while may have played on.
    stoodMs -= 1000 * (look[1] - movedTo);
    if (stoodMs > stallMs) stalls.push(Math.round(stoodMs));
    [movedTo, stoodMs] = [look[1], 0];
  }
  return { firstFrameMs: Math.round(first[0]), playedS: last[1] - first[1], stalls };
}

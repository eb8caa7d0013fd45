// From what the page and the proxy noted to figures. Pure; times in milliseconds since 1970, results in seconds.

/** A picture that stays for so long is a stall, and for so many usual ones. */
const STALL_MS = 250;
const STALL_PICTURES = 3;
const LOOK_EVERY_MS = 100;
/** Live again: it stays for so long as near as it was before. */
const STEADY_MS = 3000;
/** A player that has stalled keeps more ahead for a while: that is still live. */
const NEAR_MS = 500;
const NEAR_PART = 0.5;

export function percentile(values, part) {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.max(0, Math.ceil(sorted.length * part) - 1)] ?? null;
}

export const median = (values) => percentile(values, 0.5);

/** A picture shown again, or an older one, is none. `frames`: [presented, clock]. */
export function newPictures(frames) {
  let newest = Number.NEGATIVE_INFINITY;
  return frames.filter(([, clock]) => {
    if (clock <= newest) return false;
    newest = clock;
    return true;
  });
}

/** Times without a new picture that begin in the window, longer than is usual. */
export function stalls(frames, fromMs, toMs) {
  const at = newPictures(frames).map(([presented]) => presented);
  const gaps = at.map((time, i) => [time, (at[i + 1] ?? toMs) - time]);
  const inWindow = gaps.filter(([time]) => time >= fromMs && time < toMs);
  const usual = median(inWindow.map(([, gap]) => gap)) ?? 0;
  const long = inWindow.filter(([, gap]) => gap > Math.max(STALL_MS, STALL_PICTURES * usual));
  // Nothing new came in all of it: as long as it was.
  if (inWindow.length === 0) return { count: 1, seconds: (toMs - fromMs) / 1000 };
  const blackMs = Math.max(0, inWindow[0][0] - fromMs - usual);
  const isBlack = blackMs > STALL_MS && at[0] === inWindow[0][0];
  const ms = long.reduce((sum, [, gap]) => sum + gap - usual, isBlack ? blackMs : 0);
  return { count: long.length + (isBlack ? 1 : 0), seconds: ms / 1000 };
}

/** How old the picture on the screen is, ten times a second: [when, age]. */
export function ages(frames, fromMs, toMs) {
  const found = [];
  let next = 0;
  for (let now = fromMs; now <= toMs; now += LOOK_EVERY_MS) {
    while (next < frames.length && frames[next][0] <= now) next += 1;
    if (next > 0) found.push([now, now - frames[next - 1][1]]);
  }
  return found;
}

/** From the end of the trouble until the picture is as near to live as before, to stay so; `null`: not within the time. */
export function backToLive(frames, usualMs, overMs, toMs) {
  const most = usualMs + Math.max(NEAR_MS, NEAR_PART * usualMs);
  let since = null;
  for (const [now, age] of ages(frames, overMs, toMs)) {
    if (age > most) since = null;
    else since ??= now;
    if (since !== null && now - since >= STEADY_MS) return (since - overMs) / 1000;
  }
  return null;
}

export function latency(frames, fromMs, toMs) {
  const values = within(frames, fromMs, toMs).map(([presented, clock]) => (presented - clock) / 1000);
  return { median: median(values), p95: percentile(values, 0.95), pictures: values.length };
}

/** Requests in a second and kbit/s. */
export function traffic(log, fromMs, toMs) {
  const seconds = (toMs - fromMs) / 1000;
  const inTime = log.filter(({ doneMs }) => doneMs >= fromMs && doneMs < toMs);
  const puts = inTime.filter(({ method }) => method === 'PUT');
  const gets = inTime.filter(({ method, isViewers }) => isViewers && (method === 'GET' || method === 'HEAD'));
  const kbps = (entries) => (entries.reduce((sum, { bytes }) => sum + bytes, 0) * 8) / 1000 / seconds;
  return {
    putPerS: puts.length / seconds,
    getPerS: gets.length / seconds,
    emptyGetPerS: gets.filter(({ status }) => status >= 400).length / seconds,
    upKbps: kbps(puts),
    downKbps: kbps(gets),
  };
}

/** By how much the proxy overslept at worst: a machine that is too busy makes the store slower than it is to be. */
export function lateness(log, fromMs, toMs) {
  const late = log.filter(({ doneMs }) => doneMs >= fromMs && doneMs < toMs).map(({ lateMs }) => lateMs);
  return (percentile(late, 0.95) ?? 0) / 1000;
}

/** Bytes per second of the stream itself: of its parts where it has some, else of its segments. */
export function bitrate(log, fromMs, toMs) {
  const media = log.filter(
    ({ method, path, doneMs }) =>
      method === 'PUT' && /\.(ts|m4s)$/.test(path) && doneMs >= fromMs && doneMs < toMs,
  );
  const parts = media.filter(({ path }) => /\/part_[^/]*$/.test(path));
  const counted = parts.length ? parts : media;
  return (counted.reduce((sum, { bytes }) => sum + bytes, 0) * 1000) / (toMs - fromMs);
}

/**
 * What the latency is made of: the picture shown waits for `step` (a segment or part), the way of that from the lens into the
 * buffer (its end's age there) and what lies ahead at the least, as it comes.
 */
export function makeUp({ frames, looks }, log, fromMs, toMs) {
  const offset = median(within(frames, fromMs, toMs).map(([, clock, mediaTime]) => clock - 1000 * mediaTime));
  const grown = [];
  const seen = within(looks, fromMs, toMs);
  for (let i = 1; i < seen.length; i += 1) {
    const [[, , before], [now, current, end]] = [seen[i - 1], seen[i]];
    if (end - before < 0.02 || end - before > 20) continue;
    grown.push({ step: end - before, age: (now - offset - 1000 * end) / 1000, ahead: before - current });
  }
  const of = (name) => median(grown.map((one) => one[name]));
  const way = wayOf(log, fromMs, toMs);
  return {
    step: of('step'),
    age: of('age'),
    ahead: of('ahead'),
    rate: mean(seen.map(([, , , rate]) => rate)),
    ...way,
  };
}

/** Medians of: stored to listed, listed to seen by the viewer, seen to fetched; and of stored to fetched for who needs no playlist. */
function wayOf(log, fromMs, toMs) {
  const name = (path) => path.split('/').at(-1).split('?')[0];
  const first = (entries, of) => {
    const times = new Map();
    for (const entry of entries) {
      const key = of(entry);
      if (key && !times.has(key)) times.set(key, entry);
    }
    return times;
  };
  const inTime = log.filter(({ doneMs }) => doneMs >= fromMs && doneMs < toMs);
  const isMedia = ({ path }) => /\.(ts|m4s)$/.test(path);
  const stored = first(
    inTime.filter((e) => e.method === 'PUT' && isMedia(e)),
    ({ path }) => name(path),
  );
  const named = ({ names }) => names && name(names);
  const listed = first(
    inTime.filter(({ method }) => method === 'PUT'),
    named,
  );
  const viewers = inTime.filter(
    ({ method, isViewers, status }) => method === 'GET' && isViewers && status < 300,
  );
  const told = first(viewers, named);
  const fetched = first(viewers.filter(isMedia), ({ path }) => name(path));
  const between = (from, to) => {
    const pairs = [...to].filter(([key]) => from.has(key));
    return pairs.map(([key, { doneMs }]) => (doneMs - from.get(key).storedMs) / 1000);
  };
  const waits = [...fetched].filter(([key]) => told.has(key));
  return {
    upload: median([...stored.values()].map(({ atMs, storedMs }) => (storedMs - atMs) / 1000)),
    listed: median(between(stored, listed)),
    told: median(between(listed, told)),
    fetched: median(waits.map(([key, { doneMs }]) => (doneMs - told.get(key).doneMs) / 1000)),
    storedToFetched: median(between(stored, fetched)),
  };
}

export function within(entries, fromMs, toMs) {
  return entries.filter(([at]) => at >= fromMs && at < toMs);
}

function mean(values) {
  return values.length ? values.reduce((sum, value) => sum + value, 0) / values.length : null;
}

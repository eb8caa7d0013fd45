import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Floor,
  farBehind,
  HEARD_PARTS_FLOOR,
  LiveEdge,
  type Move,
  PARTS_FLOOR,
  type Pace,
  type Sight,
  USUAL_PACE,
} from '../src/live-edge.ts';

const TICK_MS = 50;

interface World {
  segmentS: number;
  reserveS?: number;
  audible?: boolean;
  /** How long segment `n` takes to the store, in seconds. */
  uploadS?: (n: number) => number;
  seconds: number;
  /** Segments behind the edge where playback begins. */
  startBehind?: number;
  /** Without a controller, to show that the world is hard enough. */
  steered?: boolean;
  lost?: (n: number) => boolean;
}

interface Outcome {
  stalls: number;
  /** Lens to screen at each look. */
  latencies: number[];
  rates: number[];
  seeks: number;
  floor: number;
}

/** A camera, a store and a player that asks for the playlist as hls.js does. */
function play(world: World): Outcome {
  const { segmentS, uploadS = () => 0.12, startBehind = 2, steered = true, lost = () => false } = world;
  const pace: Pace = { segmentS, reserveS: world.reserveS ?? 0, audibleRate: 1.04 };
  const live = new LiveEdge(pace);
  // One playlist at a time: a late segment holds back those behind it.
  const stored: number[] = [];
  for (let n = 0; n * segmentS < world.seconds + 12 * segmentS; n += 1) {
    stored.push(Math.max((n + 1) * segmentS + uploadS(n), stored[n - 1] ?? 0));
  }
  const begin = 10 * segmentS + 0.3 * segmentS;
  let known = stored.filter((at) => at <= begin).length;
  let buffered: [number, number][] = [];
  let currentTime = (known - startBehind) * segmentS;
  let pollAt = begin;
  let loaded = known - startBehind;
  let arrives: { n: number; at: number }[] = [];
  const outcome: Outcome = { stalls: 0, latencies: [], rates: [], seeks: 0, floor: 0 };
  let waiting = true;
  let rate = 1;
  for (let now = begin; now < begin + world.seconds; now += TICK_MS / 1000) {
    if (now >= pollAt) {
      const seen = stored.filter((at) => at <= now).length;
      pollAt += seen > known ? segmentS : Math.ceil(segmentS) / 2;
      known = seen;
    }
    while (loaded < known) {
      if (!lost(loaded)) arrives.push({ n: loaded, at: now + 0.08 });
      loaded += 1;
    }
    for (const { n } of arrives.filter(({ at }) => at <= now)) {
      const last = buffered.at(-1);
      if (last && Math.abs(last[1] - n * segmentS) < 0.01) last[1] = (n + 1) * segmentS;
      else buffered.push([n * segmentS, (n + 1) * segmentS]);
    }
    arrives = arrives.filter(({ at }) => at > now);
    buffered = buffered.filter(([, end]) => end > currentTime - 10);
    const range = buffered.find(([start, end]) => currentTime >= start - 0.001 && currentTime < end - 0.03);
    if (range) {
      currentTime = Math.min(range[1], currentTime + (rate * TICK_MS) / 1000);
      waiting = false;
    } else if (!waiting) {
      waiting = true;
      outcome.stalls += 1;
      live.stalled(now * 1000);
    }
    outcome.latencies.push(now - currentTime);
    if (!steered) continue;
    const move = live.look({
      nowMs: now * 1000,
      currentTime,
      buffered,
      playing: true,
      waiting: false,
      audible: world.audible ?? false,
    });
    rate = move.rate;
    if (move.seek) {
      currentTime = move.seek.to;
      outcome.seeks += 1;
    }
    outcome.rates.push(rate);
  }
  outcome.floor = live.floorS;
  return outcome;
}

function settled(values: number[]): { median: number; p95: number } {
  const sorted = values.slice(Math.floor(values.length / 3)).sort((a, b) => a - b);
  const at = (part: number) => sorted[Math.floor(part * (sorted.length - 1))] ?? Number.NaN;
  return { median: at(0.5), p95: at(0.95) };
}

/** The same dice for every run. */
function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

for (const [segmentS, most] of [
  [0.5, 1.3],
  [1, 2.2],
  [2, 3.9],
  [6, 11],
] as const) {
  test(`segments of ${segmentS} s on an even path: near the edge, without a stall`, () => {
    const seen = play({ segmentS, seconds: 180 });
    const { median, p95 } = settled(seen.latencies);
    assert.equal(seen.stalls, 0);
    assert.ok(median < most, `${median}`);
    assert.ok(p95 < most + 0.2 * segmentS, `${p95}`);
    assert.ok(seen.rates.every((rate) => rate >= 0.97 && rate <= 1.25));
  });
}

test('without it the delay stays where playback began', () => {
  for (const segmentS of [1, 2]) {
    const left = settled(play({ segmentS, seconds: 120, steered: false }).latencies);
    const led = settled(play({ segmentS, seconds: 120 }).latencies);
    assert.ok(left.median - led.median > 0.2 * segmentS, `${left.median} ${led.median}`);
  }
});

test('a path with jitter lifts the floor before it stalls for long', () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const roll = dice(seed);
    const late = Array.from({ length: 600 }, () => (roll() < 0.2 ? 0.36 : 0.12));
    const seen = play({ segmentS: 0.5, seconds: 120, uploadS: (n) => late[n] ?? 0.12 });
    assert.ok(seen.stalls <= 2, `seed ${seed}: ${seen.stalls} stalls`);
    assert.ok(settled(seen.latencies).median < 1.8, `seed ${seed}: ${settled(seen.latencies).median}`);
  }
});

test('after an outage it is back at the edge, and what it learnt sinks again', () => {
  const outage = (n: number) => (n >= 40 && n < 50 ? 1 + (50 - n) : 0.12);
  const seen = play({ segmentS: 1, seconds: 400, uploadS: outage });
  assert.ok(seen.stalls >= 1 && seen.stalls <= 2, `${seen.stalls}`);
  const back = seen.latencies.slice((60 * 1000) / TICK_MS, (80 * 1000) / TICK_MS);
  assert.ok(Math.max(...back) < 6, `${Math.max(...back)}`);
  const late = seen.latencies.slice(-1000);
  assert.ok(Math.max(...late) < 2.4, `${Math.max(...late)}`);
  assert.ok(seen.floor < 0.5, `${seen.floor}`);
});

test('what comes late behind an outage is no jitter: the delay is as before, soon', () => {
  for (const catchUpS of [0, 0.2, 0.5, 0.8, 1.1, 1.4, 2]) {
    // Ten seconds of segments: the last ones are sent when the store is back, faster than they are made.
    const [from, kept, to] = [120, 134, 140];
    const backS = to * 0.5;
    const uploadS = (n: number) => {
      if (n < from) return 0.12;
      const late = backS + 0.12 + catchUpS * Math.exp(-(n - kept) / 8) - (n + 1) * 0.5;
      return Math.max(0.12, n < to ? late : 0.12 + catchUpS * Math.exp(-(n - to) / 8));
    };
    const seen = play({ segmentS: 0.5, seconds: 150, uploadS, lost: (n) => n >= from && n < kept });
    const begin = 10 * 0.5 + 0.15;
    const at = (s: number) => Math.round(((s - begin) * 1000) / TICK_MS);
    const before = settled(seen.latencies.slice(0, at(from * 0.5))).median;
    const after = seen.latencies.slice(at(backS + 20), at(backS + 40));
    const median = [...after].sort((a, b) => a - b)[after.length >> 1] ?? Number.NaN;
    assert.ok(median < before + 0.1, `${catchUpS}: ${median.toFixed(2)} after ${before.toFixed(2)}`);
  }
});

test('a segment that never comes is jumped over', () => {
  const seen = play({ segmentS: 1, seconds: 60, lost: (n) => n === 30 });
  assert.ok(seen.seeks >= 1);
  assert.ok(settled(seen.latencies).median < 2.4);
});

test('far behind it seeks, a little behind it does not', () => {
  const far = play({ segmentS: 1, seconds: 30, startBehind: 8 });
  assert.ok(far.seeks >= 1);
  assert.equal(far.stalls, 0);
  const near = play({ segmentS: 1, seconds: 60, startBehind: 4 });
  assert.equal(near.seeks, 0);
  assert.ok(settled(near.latencies).median < 2.2);
  assert.deepEqual(
    [0.5, 1, 2, 6].map((segmentS) => farBehind({ ...USUAL_PACE, segmentS })),
    [3, 3, 4, 12],
  );
});

test('who listens hears no more than the profile allows', () => {
  const seen = play({ segmentS: 2, seconds: 60, startBehind: 3, audible: true });
  assert.ok(Math.max(...seen.rates) <= 1.04);
  const muted = play({ segmentS: 2, seconds: 60, startBehind: 3 });
  assert.ok(Math.max(...muted.rates) > 1.1);
});

test('a reserve is kept for an uplink that falters', () => {
  const seen = play({ segmentS: 6, reserveS: 6, startBehind: 3, seconds: 300 });
  const { median } = settled(seen.latencies);
  assert.equal(seen.stalls, 0);
  assert.ok(median > 12 && median < 19, `${median}`);
});

function sight(more: Partial<Sight>): Sight {
  return {
    nowMs: 0,
    currentTime: 10,
    buffered: [[0, 20]],
    playing: true,
    waiting: false,
    audible: false,
    ...more,
  };
}

test('who comes back is live at once', () => {
  const live = new LiveEdge({ ...USUAL_PACE, segmentS: 1 });
  live.look(sight({ nowMs: 0, buffered: [[0, 12]] }));
  live.returned();
  const move = live.look(sight({ nowMs: 60_000, currentTime: 12, buffered: [[0, 15]] }));
  assert.equal(move.seek?.why, 'behind');
  assert.ok(move.seek.to > 12.5 && move.seek.to < 13.2, `${move.seek.to}`);
  // Once.
  assert.equal(
    live.look(sight({ nowMs: 60_050, currentTime: move.seek.to, buffered: [[0, 15]] })).seek,
    null,
  );
});

test('a pause is no reason to hurry, and nothing is buffered yet is none to jump', () => {
  const live = new LiveEdge();
  const still: Move = { rate: 1, seek: null };
  assert.deepEqual(live.look(sight({ playing: false })), still);
  assert.deepEqual(live.look(sight({ buffered: [] })), still);
});

test('a picture between two ranges goes on in the next, after a moment', () => {
  const live = new LiveEdge();
  const at = (nowMs: number, currentTime: number) => {
    return live.look(
      sight({
        nowMs,
        currentTime,
        buffered: [
          [0, 10],
          [11, 12],
        ],
      }),
    ).seek;
  };
  assert.equal(at(0, 9), null);
  assert.equal(at(50, 9.98), null);
  assert.equal(at(100, 9.98), null);
  assert.deepEqual(at(200, 9.98), { to: 11.01, why: 'hole' });
  // Before the first range, too.
  const early = new LiveEdge();
  assert.equal(early.look(sight({ nowMs: 0, currentTime: 0, buffered: [[0.5, 3]] })).seek, null);
  assert.equal(early.look(sight({ nowMs: 200, currentTime: 0, buffered: [[0.5, 3]] })).seek?.to, 0.51);
});

test('parts need a tenth of a second ahead, and less when all is even', () => {
  const pace: Pace = { segmentS: 0.2, reserveS: 0, audibleRate: 1.06, floor: PARTS_FLOOR };
  const live = new LiveEdge(pace);
  // Each comes when its last frame is there and 0.15 s more; playback begins too far back.
  let currentTime = 0;
  let rate = 1;
  let least = Number.POSITIVE_INFINITY;
  for (let nowMs = 0; nowMs < 90_000; nowMs += TICK_MS) {
    const end = 0.2 * Math.floor((nowMs / 1000 + 1.05) / 0.2);
    if (nowMs > 30_000) least = Math.min(least, end - currentTime);
    rate = live.look(sight({ nowMs, currentTime, buffered: [[0, end]] })).rate;
    currentTime += (rate * TICK_MS) / 1000;
  }
  assert.ok(least > 0.02 && least < 0.16, `${least}`);
  assert.ok(live.floorS < 0.11, `${live.floorS}`);
  const { floorS } = live;
  live.stalled(90_000);
  assert.ok(Math.abs(live.floorS - floorS - 0.04) < 1e-9);
  for (let stall = 0; stall < 100; stall += 1) live.stalled(90_000);
  assert.ok(live.floorS <= 1.2);
});

test('a picture that stands although there is enough is taken on, a moment later and not again at once', () => {
  const live = new LiveEdge({ segmentS: 0.2, reserveS: 0, audibleRate: 1.06, floor: PARTS_FLOOR });
  const at = (nowMs: number, end: number) => {
    return live.look(sight({ nowMs, waiting: true, currentTime: 9.95, buffered: [[0, end]] })).seek;
  };
  assert.equal(at(0, 10), null);
  assert.equal(at(50, 10.8), null);
  const move = at(150, 10.8);
  assert.equal(move?.why, 'stuck');
  assert.ok(move.to > 10.2 && move.to < 10.5, `${move.to}`);
  assert.equal(at(250, 10.8), null);
  assert.equal(at(400, 10.8), null);
  assert.equal(at(1200, 10.8)?.why, 'stuck');
});

test('another floor under the same stream keeps what stalls have taught', () => {
  const pace = (floor: Floor): Pace => ({ segmentS: 0.2, reserveS: 0, audibleRate: 1.06, floor });
  const live = new LiveEdge(pace(PARTS_FLOOR));
  for (let nowMs = 0; nowMs < 3000; nowMs += 1000) live.stalled(nowMs);
  const mute = live.floorS;
  live.paceIs(pace(HEARD_PARTS_FLOOR));
  const more = HEARD_PARTS_FLOOR.usual - PARTS_FLOOR.usual;
  assert.ok(Math.abs(live.floorS - mute - more) < 1e-9, `${mute} ${live.floorS}`);
  live.paceIs(pace(PARTS_FLOOR));
  assert.ok(Math.abs(live.floorS - mute) < 1e-9);
});

test('parts that come later from now on are waited for, though silence goes on and no browser tells of a stall', () => {
  const live = new LiveEdge({ segmentS: 0.2, reserveS: 0, audibleRate: 1.06, floor: PARTS_FLOOR });
  let currentTime = 0;
  let rate = 1;
  let standsS = 0;
  let dries = 0;
  const stepMs = 20;
  for (let nowMs = 0; nowMs < 40_000; nowMs += stepMs) {
    const lateS = nowMs < 30_000 ? 0 : 0.25;
    const end = 0.2 * Math.floor((nowMs / 1000 + 1.05 - lateS) / 0.2);
    const stands = nowMs > 30_000 && currentTime > end;
    if (stands) standsS += stepMs / 1000;
    assert.ok(!stands || nowMs < 32_000, `it stands at ${nowMs}`);
    const wasDry = live.isDry;
    rate = live.look(sight({ nowMs, currentTime, buffered: [[0, end]] })).rate;
    if (live.isDry && !wasDry) dries += 1;
    currentTime += (rate * stepMs) / 1000;
  }
  assert.ok(standsS < 1, `${standsS}`);
  assert.ok(dries >= 1 && dries < 8, `${dries}`);
});

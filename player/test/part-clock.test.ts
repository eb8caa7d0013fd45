import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PartClock } from '../src/part-clock.ts';

const PART_S = 0.2;
const RTT_MS = 40;

interface Outcome {
  inVain: number;
  /** From the time a part is in the store to the time it is asked for with success. */
  delays: number[];
  /** From the end of a part to its arrival. */
  came: number[];
}

/** Asks for parts as the queue does; `lateMs`: how long each takes to the store. */
function follow(parts: number, lateMs: (n: number) => number): Outcome {
  const clock = new PartClock();
  const outcome: Outcome = { inVain: 0, delays: [], came: [] };
  let freeAtMs = 0;
  for (let n = 0; n < parts; n += 1) {
    const endS = (n + 1) * PART_S;
    const thereMs = endS * 1000 + lateMs(n);
    const askedMs = Math.max(freeAtMs, clock.dueAtMs(endS) ?? 0);
    let sentMs = askedMs;
    let pause = 8;
    while (sentMs + RTT_MS / 2 < thereMs) {
      sentMs += RTT_MS + pause;
      pause = Math.min(250, pause * 1.5);
      outcome.inVain += 1;
    }
    clock.came(endS, askedMs, sentMs);
    outcome.came.push(sentMs + RTT_MS - endS * 1000);
    outcome.delays.push(sentMs + RTT_MS / 2 - thereMs);
    freeAtMs = sentMs;
  }
  return outcome;
}

function median(values: number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}

function dice(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

test('on an even path hardly a request is in vain, and none is late', () => {
  const { inVain, delays } = follow(900, () => 60);
  assert.ok(inVain / 900 < 0.02, `${inVain}`);
  assert.ok(median(delays.slice(20)) < 20, `${median(delays.slice(20))}`);
  assert.ok(Math.max(...delays.slice(20)) < 50, `${Math.max(...delays.slice(20))}`);
});

test('on a path with jitter it asks when most of the late ones are there', () => {
  for (const seed of [1, 2, 3, 4, 5]) {
    const roll = dice(seed);
    const { inVain, delays, came } = follow(600, () => (roll() < 0.2 ? 180 : 60) + 10 * roll());
    assert.ok(inVain / 600 < 0.2, `${inVain}`);
    // The late ones are what playback has to wait for anyway: the others need not be there sooner.
    assert.ok(median(delays) < 130, `${median(delays)}`);
    assert.ok(Math.max(...came.slice(100)) < 190 + RTT_MS + 40, `${Math.max(...came.slice(100))}`);
  }
});

test('a late part now and then does not keep the others late', () => {
  for (const late of [60, 100, 600]) {
    const roll = dice(late);
    const { delays } = follow(6000, (n) => 60 + 4 * roll() + (n % 100 === 99 ? late * roll() : 0));
    for (let from = 1000; from < 6000; from += 1000)
      assert.ok(
        median(delays.slice(from, from + 1000)) < 50,
        `${late}: ${median(delays.slice(from, from + 1000))}`,
      );
  }
});

test('it follows a path that becomes slower, and some time after it is faster again', () => {
  const { inVain, delays } = follow(900, (n) => (n >= 200 && n < 400 ? 160 : 60));
  assert.ok(inVain / 900 < 0.05, `${inVain}`);
  assert.ok(median(delays.slice(250, 400)) < 25);
  assert.ok(median(delays.slice(650)) < 25, `${median(delays.slice(650))}`);
});

test('what was too early is tried again after ever longer times, up to 80 s', () => {
  const clock = new PartClock();
  const there = (endS: number) => endS * 1000 + 60;
  const vain: number[] = [];
  for (let n = 1; n < 3000; n += 1) {
    const endS = n * PART_S;
    const askedMs = clock.dueAtMs(endS) ?? there(endS);
    if (askedMs < there(endS)) vain.push(endS);
    clock.came(endS, askedMs, Math.max(askedMs, askedMs < there(endS) ? askedMs + RTT_MS : 0));
  }
  const pauses = vain.slice(1).map((at, index) => at - (vain[index] ?? 0));
  assert.ok(Math.max(...pauses) > 75 && Math.max(...pauses) < 95, `${pauses}`);
  assert.ok(
    pauses.every((pause) => pause > 8),
    `${pauses}`,
  );
});

test('timers that are a little late do not keep it late for ever', () => {
  const clock = new PartClock();
  let lateMs = 0;
  clock.came(0.2, 0, 700);
  for (let n = 1; n < 60; n += 1) {
    const endS = 0.2 * (n + 1);
    const dueMs = clock.dueAtMs(endS) ?? 0;
    const askedMs = dueMs + 25;
    const thereMs = endS * 1000 + 60;
    lateMs = Math.max(askedMs, thereMs) - thereMs;
    clock.came(endS, askedMs, Math.max(askedMs, thereMs));
  }
  assert.ok(lateMs < 80, `${lateMs}`);
});

test('what was there before anybody asked is no news, but a bound', () => {
  const clock = new PartClock();
  clock.wasThere(10, 10_500);
  assert.equal(clock.dueAtMs(10), null);
  clock.came(10.2, 10_300, 10_400);
  assert.equal(clock.dueAtMs(10.4), 10_600);
  clock.wasThere(11, 11_150);
  assert.equal(clock.dueAtMs(11), 11_150);
  // Asked for late: nobody knows since when it was there.
  clock.came(12, 14_000, 14_000);
  assert.equal(clock.dueAtMs(12), 12_150);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lagS, meanS } from '../src/lag.ts';
import { PartClock } from '../src/part-clock.ts';

const RTT_MS = 40;

/** Parts of these lengths, each fetched when it is there. */
function watched(lengths: readonly number[]) {
  const clock = new PartClock();
  let endS = 0;
  for (const lengthS of lengths) {
    endS += lengthS;
    const sentMs = 60 + endS * 1000;
    clock.came(endS, sentMs, sentMs);
  }
  return { clock, endS, newsAtMs: 60 + endS * 1000 + RTT_MS };
}

test('who fetches each part as it comes is not behind, however long parts are', () => {
  const even = Array.from({ length: 50 }, () => 0.2);
  const uneven = even.map((_, at) => (at % 2 ? 0.16 : 0.24));
  const dusk = even.map((_, at) => (at < 25 ? 0.2 : 0.5));
  for (const lengths of [even, uneven, dusk]) {
    const { clock, endS, newsAtMs } = watched(lengths);
    assert.ok(lagS(clock, endS, newsAtMs) < 0.2, `${lagS(clock, endS, newsAtMs)}`);
  }
  assert.equal(lagS(new PartClock(), 5, 1000), 0, 'nothing is known');
});

test('whose line is too slow is behind, until it goes on at the edge', () => {
  const { clock, endS, newsAtMs } = watched(Array.from({ length: 50 }, () => 0.2));
  // Ten of the parts of five seconds.
  const slow = lagS(clock, endS + 2, newsAtMs + 5000);
  assert.ok(Math.abs(slow - 3) < 0.2, `${slow}`);
  const rejoined = lagS(clock, endS + 60, newsAtMs + 60_000);
  assert.ok(rejoined < 0.2, `${rejoined}`);
});

test('a stream that is silent grows no longer', () => {
  const { clock, endS, newsAtMs } = watched([0.2, 0.2, 0.2]);
  assert.ok(lagS(clock, endS, newsAtMs) < 0.2);
});

test('many parts are as long as they are on the whole', () => {
  const listed = [0.16, 0.24, 0.2, 0.7].map((durationS, number) => {
    return { number, durationS, independent: false, startMs: null };
  });
  assert.ok(Math.abs(meanS({ listed, partS: 0.2 }) - 0.325) < 1e-9);
  assert.equal(meanS({ listed: [], partS: 0.2 }), 0.2);
});

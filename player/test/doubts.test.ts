import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Doubts } from '../src/doubts.ts';
import { ReadTimes } from '../src/read-times.ts';

test('parts are given up after five tries in a row that were in vain', () => {
  const doubts = new Doubts();
  for (const _ of [1, 2, 3, 4]) assert.equal(doubts.strike(), false);
  doubts.partCame();
  for (const _ of [1, 2, 3, 4]) assert.equal(doubts.strike(), false);
  assert.equal(doubts.strike(), true);
});

test('after three faults within a minute', () => {
  const doubts = new Doubts();
  assert.deepEqual(
    [0, 30_000, 61_000, 70_000].map((at) => doubts.fault(at)),
    [false, false, false, true],
  );
  assert.equal(doubts.recentFaults, 3);
});

test('after eight segments without parts, and three playlists that know none', () => {
  const doubts = new Doubts();
  assert.equal(doubts.sawNoParts(100), false);
  assert.equal(doubts.sawNoParts(107), false);
  assert.equal(doubts.sawNoParts(108), true);
  assert.deepEqual(
    ['a', 'a', 'b'].map((text) => doubts.sawPlain(text)),
    [false, false, false],
  );
  doubts.sawPlaylist();
  assert.deepEqual(
    ['c', 'd', 'd', 'e'].map((text) => doubts.sawPlain(text)),
    [false, false, false, true],
  );
});

/** Reads whenever it is due, and gets nothing new; gives the pauses from second `fromS` on. */
function pausesOf(times: ReadTimes, newsAtMs: number, fromS: number, toS: number): number[] {
  const read: number[] = [];
  for (let now = fromS * 1000; now <= toS * 1000; now += 50) {
    if (!times.isDue(now)) continue;
    read.push(now);
    times.tried(now, false, newsAtMs);
  }
  return read.slice(1).map((at, index) => at - (read[index] ?? 0));
}

test('the playlist is read seldom while all is well, and soon where it is not', () => {
  const times = new ReadTimes();
  assert.equal(times.isDue(0), true);
  times.tried(0, true, 0);
  assert.equal(times.isDue(9999), false);
  assert.equal(times.isDue(10_000), true);
  times.known(10_000);
  times.soon();
  assert.equal(times.isDue(10_001), true);
  assert.deepEqual(pausesOf(new ReadTimes(), 0, 1, 3), [400, 500, 500, 500]);
  assert.ok(pausesOf(new ReadTimes(), 0, 20, 40).every((pause) => pause <= 1000));
  assert.equal(pausesOf(new ReadTimes(), 0, 70, 200).at(-1), 5000);
});

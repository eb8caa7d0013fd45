import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Part } from '../src/part-queue.ts';
import type { ListedPart, Parts } from '../src/parts-playlist.ts';
import { fromKeyframe, keepNewest, Run } from '../src/run.ts';

const bytes = new ArrayBuffer(1);

function part(number: number, startS = number * 0.2): Part {
  return { number, startS, endS: startS + 0.2, independent: number % 5 === 0, bytes };
}

function parts(listed: ListedPart[]): Parts {
  return { run: 'r', initUrl: 'i', next: 10, partS: 0.2, listed, url: String };
}

function listed(number: number, startMs: number | null): ListedPart {
  return { number, durationS: 0.2, independent: false, startMs };
}

test('the wall clock of a run is known by its parts', () => {
  const none = parts([]);
  const run = new Run(none, { tracks: [], type: '' }, bytes);
  assert.equal(run.wallOf(1), null);
  run.saw(part(9, 101.8));
  run.learnTimes(parts([listed(7, 1_000_000), listed(9, 1_000_400)]));
  assert.equal(run.wallOf(101.8), 1_000_400);
  assert.equal(run.wallOf(102.3), 1_000_900);
  // Nothing new is known of those.
  run.learnTimes(parts([listed(3, 5), listed(9, null)]));
  assert.equal(run.wallOf(101.8), 1_000_400);
});

test('the part behind the last one that is named tells it, too', () => {
  const run = new Run(parts([]), { tracks: [], type: '' }, bytes);
  run.saw(part(10, 2));
  run.learnTimes(parts([listed(9, 1_000_000)]));
  assert.equal(run.wallOf(2), 1_000_200);
});

test('it begins at the newest keyframe that has enough behind it', () => {
  const row = [5, 6, 7, 8, 9, 10, 11].map((number) => part(number));
  const from = (count: number) => fromKeyframe(row.slice(0, count), 0.35).map(({ number }) => number);
  assert.deepEqual(from(7), [10, 11]);
  assert.deepEqual(from(6), [5, 6, 7, 8, 9, 10]);
  assert.deepEqual(from(1), [5]);
  assert.deepEqual(fromKeyframe(row.slice(1, 4), 0.35), []);
  assert.deepEqual(fromKeyframe([], 0.35), []);
});

test('what is kept is bounded', () => {
  const map = new Map([1, 2, 3, 4].map((n) => [n, n]));
  keepNewest(map, 2);
  assert.deepEqual([...map.keys()], [3, 4]);
});

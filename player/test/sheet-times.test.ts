import assert from 'node:assert/strict';
import { test } from 'node:test';
import { SheetTimes } from '../src/sheet-times.ts';

/** Looks each second; gives the seconds at which it was asked for. */
function askings(times: SheetTimes, toS: number, isMoving: boolean, answer: 'had' | 'failed'): number[] {
  const asked: number[] = [];
  for (let s = 0; s <= toS; s += 1) {
    if (!times.isDue(s * 1000, isMoving)) continue;
    asked.push(s);
    times.asked(s * 1000);
    if (answer === 'had') times.answered(s * 1000);
    else times.failed(s * 1000);
  }
  return asked;
}

test('it is asked for once, and again while the picture stands', () => {
  assert.deepEqual(askings(new SheetTimes(), 3600, true, 'had'), [0]);
  assert.deepEqual(askings(new SheetTimes(), 50, false, 'had'), [0, 15, 30, 45]);
});

test('one that could not be had is asked for again, a few times and ever more rarely', () => {
  assert.deepEqual(askings(new SheetTimes(), 3600, true, 'failed'), [0, 5, 15, 35, 75, 135, 195]);
});

test('one at a time, and of one that is here nothing but news is wanted', () => {
  const times = new SheetTimes();
  times.asked(0);
  assert.equal(times.isDue(60_000, true), false);
  times.answered(0);
  times.asked(60_000);
  times.failed(60_000);
  assert.equal(times.isDue(3_600_000, true), false);
});

test('where there was none it is looked for twice more', () => {
  const times = new SheetTimes();
  const asked: number[] = [];
  for (let s = 0; s <= 3600; s += 1) {
    if (!times.isDue(s * 1000, true)) continue;
    asked.push(s);
    times.asked(s * 1000);
    times.none(s * 1000);
  }
  assert.deepEqual(asked, [0, 20, 60]);
});

test('what it says for now is looked after each minute', () => {
  const times = new SheetTimes();
  times.asked(0);
  times.answered(0, true);
  assert.equal(times.isDue(59_000, true), false);
  assert.equal(times.isDue(60_000, true), true);
  for (const [at, atMs] of [60_000, 120_000, 180_000].entries()) {
    times.asked(atMs);
    // Whatever comes of it.
    if (at === 0) times.failed(atMs);
    else if (at === 1) times.none(atMs);
    else times.answered(atMs, true);
    assert.equal(times.isDue(atMs + 60_000, true), true, `${at}`);
  }
  times.asked(240_000);
  times.answered(240_000);
  assert.equal(times.isDue(3_600_000, true), false);
});

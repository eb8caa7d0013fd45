import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Comeback } from '../src/comeback.ts';

const MINUTE = 60_000;

/** When it is due, in seconds after `fromMs`; `null`: not within a day. */
function dueAfterS(comeback: Comeback, fromMs: number): number | null {
  for (let s = 0; s < 86_400; s += 1) if (comeback.isDue(fromMs + s * 1000)) return s;
  return null;
}

test('what never had trouble has nothing to come back to', () => {
  const comeback = new Comeback();
  assert.equal(dueAfterS(comeback, 0), null);
  comeback.began(0);
  assert.equal(dueAfterS(comeback, 0), null);
});

test('parts that had trouble are tried again after a minute, two, four, to half an hour at most', () => {
  const comeback = new Comeback();
  const pauses: (number | null)[] = [];
  let now = 0;
  for (let round = 0; round < 7; round += 1) {
    comeback.began(now);
    now += 8000;
    comeback.left(now);
    const pause = dueAfterS(comeback, now);
    pauses.push(pause);
    now += (pause ?? 0) * 1000;
  }
  assert.deepEqual(pauses, [60, 120, 240, 480, 960, 1800, 1800]);
});

test('so are those that can still not be had', () => {
  const comeback = new Comeback();
  comeback.began(0);
  comeback.left(8000);
  comeback.tried(70_000);
  assert.equal(dueAfterS(comeback, 70_000), 120);
  comeback.tried(200_000);
  assert.equal(dueAfterS(comeback, 200_000), 240);
});

test('ten minutes without trouble forget what was before', () => {
  const comeback = new Comeback();
  for (const at of [0, MINUTE, 2 * MINUTE]) {
    comeback.began(at);
    comeback.left(at + 8000);
  }
  comeback.began(10 * MINUTE);
  comeback.left(19 * MINUTE);
  assert.equal(dueAfterS(comeback, 19 * MINUTE), 480);
  comeback.began(30 * MINUTE);
  comeback.left(40 * MINUTE);
  assert.equal(dueAfterS(comeback, 40 * MINUTE), 60);
});

test('parts that the sheet tells of are tried at once, and soon again where they are not there yet', () => {
  const comeback = new Comeback();
  comeback.offered(5000);
  assert.equal(dueAfterS(comeback, 5000), 0);
  comeback.tried(5000);
  // Told again: that does not hurry.
  comeback.offered(6000);
  assert.equal(dueAfterS(comeback, 5000), 4);
  comeback.tried(9000);
  assert.equal(dueAfterS(comeback, 9000), 8);
  comeback.began(20_000);
  assert.equal(dueAfterS(comeback, 20_000), null);
});

test('an offer does not shorten the time after trouble', () => {
  const comeback = new Comeback();
  comeback.began(0);
  comeback.left(8000);
  comeback.offered(9000);
  assert.equal(dueAfterS(comeback, 8000), 60);
});

test('after trouble nobody begins with parts before it is time', () => {
  const comeback = new Comeback();
  assert.equal(comeback.isBarred(0), false);
  comeback.began(0);
  comeback.left(8000);
  assert.deepEqual([comeback.isBarred(67_000), comeback.isBarred(68_000)], [true, false]);
  comeback.tried(68_000);
  assert.equal(comeback.isBarred(100_000), true);
  comeback.began(200_000);
  assert.equal(comeback.isBarred(200_000), false);
});

test('where whole segments do not play either parts are no worse', () => {
  const comeback = new Comeback();
  comeback.othersFailed(0);
  assert.equal(dueAfterS(comeback, 0), null);
  comeback.began(0);
  comeback.left(8000);
  comeback.othersFailed(20_000);
  assert.equal(comeback.isBarred(20_000), false);
  // The next trouble keeps away for longer all the same.
  comeback.began(20_000);
  comeback.left(30_000);
  assert.equal(dueAfterS(comeback, 30_000), 120);
});

test('parts that are only not there yet bar nothing', () => {
  const comeback = new Comeback();
  comeback.offered(0);
  comeback.tried(0);
  assert.equal(comeback.isBarred(1000), false);
});

test('a stream that was played by parts is remembered as one', () => {
  const comeback = new Comeback();
  assert.equal(comeback.hasBegun, false);
  comeback.began(0);
  comeback.left(8000);
  assert.equal(comeback.hasBegun, true);
});

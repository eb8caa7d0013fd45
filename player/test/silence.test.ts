import assert from 'node:assert/strict';
import { test } from 'node:test';
import { newsOf, Silence } from '../src/silence.ts';

const NEVER = Number.NEGATIVE_INFINITY;
const at = (atMs: number, newestMs: number | null = null) => ({ atMs, newestMs });

test('silence is counted from the last news', () => {
  const silence = new Silence();
  assert.equal(silence.look(10_000, at(8000), true), 2);
  assert.equal(silence.look(40_000, at(8000), true), 32);
  assert.equal(silence.look(41_000, at(40_500), true), 0.5);
});

test('what nobody asked for is no silence', () => {
  const silence = new Silence();
  // Paused with enough ahead, from second 10 to 60.
  for (let s = 10; s <= 60; s += 1) assert.equal(silence.look(s * 1000, at(9000), false), 0);
});

test('a stream that is silent when it is asked again is found out in the usual time', () => {
  const silence = new Silence();
  for (let s = 10; s <= 60; s += 1) silence.look(s * 1000, at(9000), false);
  assert.equal(silence.look(61_000, at(9000), true), 1);
  assert.equal(silence.look(81_000, at(9000), true), 21);
  // And one that goes on is not.
  assert.equal(silence.look(81_500, at(81_200), true), 0.3);
});

test('a pipeline has its time to begin, but not where the stream is known to be silent', () => {
  const silence = new Silence();
  silence.opened(1000, false);
  assert.equal(silence.look(3000, at(NEVER), true), 2);
  silence.look(5000, at(5000), true);
  silence.opened(35_000, true);
  assert.equal(silence.look(36_000, at(NEVER), true), 31);
});

test('what was known is no news of another pipeline, what is newer is', () => {
  const silence = new Silence();
  silence.look(5000, at(5000, 700), true);
  silence.opened(35_000, true);
  assert.equal(silence.look(36_000, at(36_000, 700), true), 31);
  assert.equal(silence.look(37_000, at(36_900, 800), true), 0.1);
  silence.opened(60_000, true);
  assert.equal(silence.look(61_000, at(61_000, 900), true), 0);
  // Without wall clock times nobody can tell.
  silence.opened(90_000, true);
  assert.equal(silence.look(91_000, at(91_000), true), 0);
});

test('of a browser that does not tell the picture is the news, once there is one', () => {
  const native = { isLed: false, newsAtMs: NEVER, newestTimeMs: null };
  assert.equal(newsOf(native, { isPlaying: true, movedAtMs: 7 }).atMs, 7);
  assert.equal(newsOf(native, { isPlaying: false, movedAtMs: 7 }).atMs, NEVER);
  assert.equal(newsOf({ ...native, isLed: true, newsAtMs: 3 }, { isPlaying: true, movedAtMs: 7 }).atMs, 3);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Silence } from '../src/silence.ts';

test('silence is counted from the last news', () => {
  const silence = new Silence();
  assert.equal(silence.look(10_000, 8000, true), 2);
  assert.equal(silence.look(40_000, 8000, true), 32);
  assert.equal(silence.look(41_000, 40_500, true), 0.5);
});

test('what nobody asked for is no silence', () => {
  const silence = new Silence();
  // Paused with enough ahead, from second 10 to 60.
  for (let s = 10; s <= 60; s += 1) assert.equal(silence.look(s * 1000, 9000, false), 0);
});

test('a stream that is silent when it is asked again is found out in the usual time', () => {
  const silence = new Silence();
  for (let s = 10; s <= 60; s += 1) silence.look(s * 1000, 9000, false);
  assert.equal(silence.look(61_000, 9000, true), 1);
  assert.equal(silence.look(81_000, 9000, true), 21);
  // And one that goes on is not.
  assert.equal(silence.look(81_500, 81_200, true), 0.3);
});

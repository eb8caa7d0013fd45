import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Rate } from '../src/rate.ts';
import { RESTS_AFTER_MS, Rest } from '../src/rest.ts';

const watched = { hidden: false, audible: false, paused: false };

test('a stream that nobody sees or hears is let go after a minute', () => {
  for (const alone of [
    { ...watched, hidden: true },
    { ...watched, paused: true },
    { hidden: true, audible: true, paused: true },
  ]) {
    const rest = new Rest();
    assert.equal(rest.look(0, alone), false);
    assert.equal(rest.look(RESTS_AFTER_MS - 1, alone), false);
    assert.equal(rest.look(RESTS_AFTER_MS, alone), true);
  }
});

test('who looks in between, or only listens, keeps it', () => {
  const rest = new Rest();
  rest.look(0, { ...watched, hidden: true });
  assert.equal(rest.look(30_000, watched), false);
  assert.equal(rest.look(30_001, { ...watched, hidden: true }), false);
  assert.equal(rest.look(RESTS_AFTER_MS + 1, { ...watched, hidden: true }), false);
  const radio = new Rest();
  for (const at of [0, 1e5, 1e6])
    assert.equal(radio.look(at, { hidden: true, audible: true, paused: false }), false);
});

test('a rate is that of the last seconds', () => {
  const rate = new Rate();
  assert.equal(rate.look(0, 0), null);
  assert.equal(rate.look(500, 5), null);
  assert.equal(rate.look(2000, 12), 6);
  for (let at = 2500; at <= 30_000; at += 500) rate.look(at, 12 + at / 1000);
  assert.ok(Math.abs((rate.look(30_500, 42.5) ?? 0) - 1) < 0.01);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Verdict } from '../src/verdict.ts';

const still = { moved: false, isLast: false };

test('it is told once no other engine is left', () => {
  const verdict = new Verdict();
  assert.equal(verdict.look(0, { moved: false, isLast: true }), null, 'nobody complained of codecs');
  verdict.hear(1000, 'hvc1');
  assert.equal(verdict.look(1000, still), null, 'another engine has its turn');
  assert.equal(verdict.look(3000, { moved: false, isLast: true }), 'hvc1');
});

test('it stays said while the stream is tried again, and goes with a picture', () => {
  const verdict = new Verdict();
  verdict.hear(0, 'hvc1');
  for (let s = 0; s <= 60; s += 1)
    assert.equal(verdict.look(s * 1000, { moved: false, isLast: true }), 'hvc1');
  for (let s = 61; s <= 70; s += 1) assert.equal(verdict.look(s * 1000, still), 'hvc1');
  assert.equal(verdict.look(70_500, { moved: true, isLast: false }), null);
  assert.equal(verdict.look(71_000, { moved: false, isLast: true }), null);
});

test('one that does not fail any more is only waited for', () => {
  const verdict = new Verdict();
  verdict.hear(0, 'hvc1');
  assert.equal(verdict.look(0, { moved: false, isLast: true }), 'hvc1');
  assert.equal(verdict.look(16_000, still), null);
});

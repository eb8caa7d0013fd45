import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faults, longestFreeze } from './judge.mjs';

/** Ten seconds of a good picture, looked at four times a second. */
function good() {
  return Array.from({ length: 41 }, (_, i) => {
    const at = i / 4;
    return { at, framesPresented: Math.floor(at * 15), currentTime: 100 + at, seekable: [95 + at, 105 + at] };
  });
}

test('a moving picture has no fault', () => {
  assert.deepEqual(faults(good(), 10), []);
  assert.ok(longestFreeze(good()) <= 0.5);
});

test('a freeze is found and measured', () => {
  const samples = good().map((sample) => ({
    ...sample,
    framesPresented: Math.min(60, sample.framesPresented),
  }));
  assert.deepEqual(
    faults(samples, 10),
    [4, 6, 8].map((at) => `no frame from second ${at} for 2 s`),
  );
  assert.equal(longestFreeze(samples), 6);
  assert.deepEqual(faults(samples, 10, { interval: 4, pace: 0.5 }), ['no frame from second 4 for 4 s']);
});

test('a time that stands still, goes back or leaves the window is found', () => {
  const still = good().map((sample) => ({ ...sample, currentTime: 104, seekable: [100, 110] }));
  assert.match(faults(still, 10).join(), /currentTime advanced 0.0 s/);
  const slow = good().map((sample) => ({
    ...sample,
    currentTime: 100 + 0.6 * sample.at,
    seekable: [95, 115],
  }));
  assert.match(faults(slow, 10).join(), /currentTime advanced 6.0 s in 10.0 s/);
  assert.deepEqual(faults(slow, 10, { interval: 4, pace: 0.5 }), []);
  const back = good();
  back[30].currentTime -= 3;
  assert.match(faults(back, 10).join(), /went back at second 7.5/);
  const outside = good().map((sample) => ({ ...sample, seekable: [0, 50] }));
  assert.match(faults(outside, 10).join(), /outside the window/);
});

test('too short a look proves nothing', () => {
  assert.deepEqual(faults(good().slice(0, 8), 10), ['too few looks at the page']);
  assert.deepEqual(faults([], 10), ['too few looks at the page']);
});

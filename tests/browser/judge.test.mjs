import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faults, isEnough, longestFreeze, playback, stalls } from './judge.mjs';
import { lengthOf, watchPauses } from './pauses.mjs';

/** So many seconds of a good picture, looked at four times a second. */
function good(seconds = 10) {
  return Array.from({ length: 4 * seconds + 1 }, (_, i) => {
    const at = i / 4;
    return {
      at,
      framesPresented: Math.floor(at * 15),
      currentTime: 100 + at,
      seekable: [95 + at, 105 + at],
      stalls: 0,
    };
  });
}

/** A machine that stood from one second to another: nobody looked, and the stream stood for a while longer. */
function paused(samples, from, to, behind = 0) {
  const over = to + behind;
  return samples
    .filter(({ at }) => at <= from || at >= to)
    .map((sample) => {
      const gone = Math.max(0, Math.min(sample.at, over) - from);
      const framesPresented = sample.framesPresented - Math.floor(gone * 15);
      const stalls = sample.stalls + (sample.at > from ? 1 : 0);
      const seekable = sample.seekable.map((end) => end - gone);
      return { ...sample, framesPresented, currentTime: sample.currentTime - gone, seekable, stalls };
    });
}

/** From then on no frame comes. */
function frozen(samples, from) {
  const { framesPresented } = samples.find(({ at }) => at >= from);
  const least = (sample) => Math.min(sample.framesPresented, framesPresented);
  return samples.map((sample) => ({ ...sample, framesPresented: least(sample) }));
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

test('what the machine itself stood is not judged', () => {
  const samples = paused(good(14), 2.1, 4.9);
  assert.match(faults(samples, 10).join(), /no frame from second 2 for 2 s/);
  const how = { pauses: [[2.1, 4.9]] };
  // ffmpeg begins anew.
  assert.equal(isEnough(samples, 10, how), false);
  assert.deepEqual(faults(samples, 10, how), ['the machine stood still for too long to judge']);
  const longer = paused(good(20), 2.1, 4.9, 5);
  assert.equal(isEnough(longer, 10, how), true);
  assert.deepEqual(faults(longer, 10, how), []);
  const short = { pauses: [[2.1, 3.2]] };
  assert.deepEqual(faults(paused(good(14), 2.1, 3.2, 1), 10, short), []);
  const wall = { interval: 4, pace: 0.5, settle: 6, share: 0.5 };
  assert.deepEqual(faults(paused(good(24), 2.1, 3.2, 5), 20, { ...wall, ...short }), []);
});

test('a player that freezes is found beside a pause of the machine, and without one', () => {
  const how = { pauses: [[2.1, 3.2]] };
  const samples = frozen(good(20), 8);
  const found = faults(paused(samples, 2.1, 3.2), 15, how);
  assert.deepEqual(
    found,
    [8.25, 10.25, 12.25, 14.25, 16.25].map((at) => `no frame from second ${at.toFixed(0)} for 2 s`),
  );
  assert.ok(faults(frozen(good(), 3), 10, { pauses: [] }).length > 0);
  const slow = good(20).map((sample) => ({ ...sample, currentTime: 100 + sample.at / 2 }));
  assert.match(faults(paused(slow, 2.1, 3.2), 15, how).join(), /currentTime advanced/);
});

test('a page that does not answer by itself shows no frame', () => {
  const blocked = good().filter(({ at }) => at <= 2 || at >= 7);
  const expected = [2, 4].map((at) => `no frame from second ${at} for 2 s`);
  assert.deepEqual(faults(blocked, 10), expected);
  assert.deepEqual(faults(blocked, 10, { pauses: [[8.5, 9]] }).slice(-2), expected);
});

test('stalls that come of a pause of the machine are not counted', () => {
  const samples = paused(good(), 2.1, 2.9);
  const late = samples.map((sample) => ({ ...sample, stalls: sample.stalls + (sample.at > 6 ? 1 : 0) }));
  assert.equal(stalls(late), 2);
  assert.equal(stalls(late, { pauses: [[2.1, 2.9]] }), 1);
  assert.equal(stalls(late, { pauses: [[5, 5.5]] }), 1);
  // ffmpeg begins anew.
  assert.equal(stalls(late, { pauses: [[0.5, 3]] }), 0);
  assert.equal(stalls([]), 0);
});

test('a stall is what the player stood of itself', () => {
  const looks = good(20).map(({ at }) => [1000 * at, Math.max(0, at - 1)]);
  assert.deepEqual(playback(looks, 2000), { firstFrameMs: 1250, playedS: 18.75, stalls: [] });
  const stood = looks.map(([ms, time]) => [ms, time < 4 ? time : Math.max(4, time - 3)]);
  assert.deepEqual(playback(stood, 2000).stalls, [3000]);
  const asleep = stood.filter(([ms]) => ms <= 5000 || ms >= 8000);
  assert.deepEqual(playback(asleep, 2000, [[5000, 8000]]).stalls, []);
  // A page that blocks itself.
  assert.deepEqual(playback(asleep, 2000, [[1000, 2000]]).stalls, [3000]);
  const toTheEnd = looks.map(([ms, time]) => [ms, Math.min(time, 14)]);
  assert.deepEqual(playback(toTheEnd, 2000).stalls, [5000]);
  const black = looks.map(([ms]) => [ms, 0]);
  assert.deepEqual(playback(black, 2000), { firstFrameMs: null, playedS: 0, stalls: [] });
});

test('a process that stands still sees so', () => {
  const machine = watchPauses();
  const from = performance.now();
  while (performance.now() - from < 500);
  const pauses = machine.seen();
  machine.stop();
  assert.equal(pauses.length, 1);
  assert.ok(lengthOf(pauses) >= 400);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Backoff, goesOn, sourceIsSilent, standsThoughAnswered, Watchdog } from '../src/recovery.ts';

/** Runs the watchdog twice a second; gives the times at which it reopened. */
function reopenings(dog: Watchdog, fromS: number, toS: number, moves: (second: number) => boolean): number[] {
  const times: number[] = [];
  for (let s = fromS; s <= toS; s += 0.5) if (dog.shouldReopen(s * 1000, moves(s))) times.push(s);
  return times;
}

test('the backoff doubles up to its limit and forgets', () => {
  const backoff = new Backoff(1000, 8000);
  assert.deepEqual(
    [1, 2, 3, 4, 5].map(() => backoff.next()),
    [1000, 2000, 4000, 8000, 8000],
  );
  backoff.reset();
  assert.equal(backoff.next(), 1000);
});

test('a moving picture is left alone', () => {
  assert.deepEqual(
    reopenings(new Watchdog(0), 0, 3600, () => true),
    [],
  );
});

test('a still picture is opened again, ever more rarely', () => {
  const dog = new Watchdog(0);
  assert.deepEqual(
    reopenings(dog, 0, 210, () => false),
    [10, 30, 70, 130, 190],
  );
});

test('patience comes back after a stable run, not after a twitch', () => {
  const twitching = new Watchdog(0);
  reopenings(twitching, 0, 90, () => false);
  assert.deepEqual(
    reopenings(twitching, 90.5, 160, (s) => s < 93),
    [152.5],
  );
  const stable = new Watchdog(0);
  reopenings(stable, 0, 90, () => false);
  assert.deepEqual(
    reopenings(stable, 90.5, 150, (s) => s < 130),
    [139.5],
  );
});

test('a playlist without news is the fault of the camera, not of the pipeline', () => {
  assert.ok(sourceIsSilent(60_000, 20_000, 58_000, 16_000), 'answers, nothing new since the picture stopped');
  assert.ok(!sourceIsSilent(60_000, 20_000, 58_000, 55_000), 'new segments, but no picture');
  assert.ok(!sourceIsSilent(60_000, 20_000, 16_000, 16_000), 'no answer for long');
  assert.ok(
    !sourceIsSilent(60_000, 20_000, Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY),
    'nothing known',
  );
});

test('a picture that stands while answers come is not the fault of the network', () => {
  assert.ok(standsThoughAnswered(20_000, 29_000));
  assert.ok(!standsThoughAnswered(20_000, 19_500), 'nobody answered since');
  assert.ok(!standsThoughAnswered(20_000, Number.NEGATIVE_INFINITY));
});

test('a stream goes on while its segments come in time', () => {
  assert.ok(goesOn(10_000, 7600, 1));
  assert.ok(!goesOn(10_000, 7400, 1));
  assert.ok(goesOn(10_000, 3100, 4));
  assert.ok(!goesOn(10_000, Number.NEGATIVE_INFINITY, 1));
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lag } from '../src/lag.ts';
import type { Parts } from '../src/parts-playlist.ts';

function parts(run: string, next: number): Parts {
  return { run, initUrl: 'init', next, partS: 0.2, listed: [], url: String };
}

test('who fetches each part as it comes is not behind', () => {
  const lag = new Lag();
  assert.equal(lag.of('a', 5, 1000), 0, 'nothing is known');
  lag.saw(parts('a', 100), 1000);
  for (let part = 0; part < 50; part += 1) {
    assert.ok(lag.of('a', 101 + part, 1000 + 200 * part) < 0.01, `part ${part}`);
  }
});

test('whose line is too slow falls behind, also between two playlists', () => {
  const lag = new Lag();
  lag.saw(parts('a', 100), 1000);
  assert.ok(Math.abs(lag.of('a', 90, 1000) - 2) < 0.01);
  assert.ok(Math.abs(lag.of('a', 110, 6000) - 3) < 0.01, 'ten of twenty-five');
});

test('a stream that is silent grows no longer, and another run is another count', () => {
  const lag = new Lag();
  lag.saw(parts('a', 100), 1000);
  assert.equal(lag.of('a', 100, 900), 0);
  assert.equal(lag.of('b', 2, 9000), 0);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Lag } from '../src/lag.ts';
import type { Parts } from '../src/parts-playlist.ts';

function parts(run: string, next: number, lengths: number[] = []): Parts {
  const listed = lengths.map((durationS, number) => ({
    number,
    durationS,
    independent: false,
    startMs: null,
  }));
  return { run, initUrl: 'init', next, partS: 0.2, listed, url: String };
}

const at = (next: number, partS = 0.2, run = 'a') => ({ run, next, startS: next * partS });

test('who fetches each part as it comes is not behind', () => {
  const lag = new Lag();
  assert.equal(lag.of(at(5), 1000), 0, 'nothing is known');
  lag.saw(parts('a', 100), 1000);
  for (let part = 0; part < 50; part += 1) {
    assert.ok(lag.of(at(101 + part), 1000 + 200 * part) < 0.01, `part ${part}`);
  }
});

test('whose line is too slow falls behind, also between two playlists', () => {
  const lag = new Lag();
  lag.saw(parts('a', 100), 1000);
  assert.ok(Math.abs(lag.of(at(90), 1000) - 2) < 0.01);
  assert.ok(Math.abs(lag.of(at(110), 6000) - 3) < 0.01, 'ten of twenty-five');
});

test('parts of uneven lengths, and such as become longer at dusk, put nobody behind', () => {
  const uneven = new Lag();
  uneven.saw(parts('a', 100, [0.16, 0.24, 0.16, 0.24, 0.2]), 1000);
  const dusk = new Lag();
  dusk.saw(parts('a', 100, [0.2, 0.2, 0.2, 0.2, 0.2]), 1000);
  for (let part = 0; part < 20; part += 1) {
    const next = 100 + part;
    assert.ok(uneven.of({ run: 'a', next, startS: 20 + 0.2 * part }, 1000 + 200 * part) < 0.05);
    assert.ok(dusk.of({ run: 'a', next, startS: 20 + 0.5 * part }, 1000 + 500 * part) < 0.05);
  }
  uneven.saw(parts('a', 200, [0.16, 0.24, 0.16, 0.24]), 1000);
  assert.ok(Math.abs(uneven.of({ run: 'a', next: 190, startS: 38 }, 1000) - 2) < 0.01);
});

test('a stream that is silent grows no longer, and another run is another count', () => {
  const lag = new Lag();
  lag.saw(parts('a', 100), 1000);
  assert.equal(lag.of(at(100), 900), 0);
  assert.equal(lag.of(at(2, 0.2, 'b'), 9000), 0);
  assert.equal(lag.of(null, 9000), 0);
});

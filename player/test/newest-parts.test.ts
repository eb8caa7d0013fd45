import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Found, newestParts } from '../src/newest-parts.ts';
import type { ListedPart, Parts } from '../src/parts-playlist.ts';

/** A playlist that names parts 5 to 14, each fifth with a keyframe. */
function parts(next = 15): Parts {
  const listed: ListedPart[] = Array.from({ length: 10 }, (_, at) => {
    return { number: next - 10 + at, durationS: 0.2, independent: at % 5 === 0, startMs: null };
  });
  return { run: 'r', initUrl: 'i', next, partS: 0.2, listed, url: (number) => `p${number}` };
}

async function find(there: (number: number) => boolean, of = parts()): Promise<[number[], number]> {
  let asked = 0;
  const get = async (number: number): Promise<Found | null> => {
    asked += 1;
    return there(number) ? { number, bytes: new ArrayBuffer(1), sentMs: 0 } : null;
  };
  const found = await newestParts(of, get);
  return [found.map(({ number }) => number), asked];
}

test('a segment that has begun since is enough to begin with', async () => {
  assert.deepEqual(await find((n) => n <= 17), [[15, 16, 17], 5]);
});

test('else the newest segment that the playlist names goes before it', async () => {
  assert.deepEqual(await find((n) => n <= 15), [[10, 11, 12, 13, 14, 15], 10]);
  assert.deepEqual((await find((n) => n <= 14))[0], [10, 11, 12, 13, 14]);
});

test('an old playlist is gone on from by name, but not for ever', async () => {
  const [found, asked] = await find((n) => n <= 37);
  assert.deepEqual([found.at(0), found.at(-1)], [15, 37]);
  assert.ok(asked <= 28);
  assert.equal((await find(() => true))[0].length, 60);
});

test('one that is missing among them ends the row', async () => {
  assert.deepEqual((await find((n) => n !== 17 && n < 19))[0], [15, 16]);
  assert.deepEqual((await find((n) => n !== 12 && n < 15))[0], [10, 11]);
  assert.deepEqual((await find((n) => n !== 12 && n < 16))[0], [15]);
  assert.deepEqual((await find(() => false))[0], []);
});

test('a playlist that names no part has the hint alone', async () => {
  const bare = { ...parts(), listed: [] };
  assert.deepEqual((await find((n) => n <= 15, bare))[0], [15]);
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { choosePlaying, mostPlaying } from '../src/wall-choice.ts';

const tile = (id: string, visible = true, still = false) => ({ id, visible, still });

test('what is in view plays, up to the bound, and goes on while it stays in view', () => {
  const wall = [tile('a'), tile('b'), tile('c', false), tile('d', true, true), tile('e')];
  assert.deepEqual([...choosePlaying(wall, new Set(), 9)], ['a', 'b', 'e']);
  assert.deepEqual([...choosePlaying(wall, new Set(), 2)], ['a', 'b']);
  assert.deepEqual([...choosePlaying(wall, new Set(['e']), 2)], ['e', 'a']);
  assert.deepEqual([...choosePlaying(wall, new Set(['c']), 2)], ['a', 'b']);
  assert.deepEqual([...choosePlaying(wall, new Set(['a']), 0)], []);
});

test('the bound is of the device, unless the address says', () => {
  assert.deepEqual([mostPlaying(null, true), mostPlaying(null, false)], [4, 9]);
  assert.deepEqual(
    ['16', '0', '26', '-1', 'x'].map((query) => mostPlaying(query, false)),
    [16, 0, 9, 9, 9],
  );
});

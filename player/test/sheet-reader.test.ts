import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Sheet } from '../src/sheet.ts';
import { SheetReader } from '../src/sheet-reader.ts';

function heard(told: Partial<Sheet>): SheetReader {
  const reader = new SheetReader();
  reader.sheet = { phase: null, reason: null, lastSegmentMs: null, ...told } as Sheet;
  return reader;
}

test('what is away has its last picture by this word alone, what comes up has none', () => {
  for (const phase of ['ended', 'stopped', 'waiting'])
    assert.equal(heard({ phase, lastSegmentMs: 5000 }).newestMs(null), 5000, phase);
  for (const phase of ['starting', 'live', null])
    assert.equal(heard({ phase, lastSegmentMs: 5000 }).newestMs(null), null, `${phase}`);
  assert.equal(heard({ phase: 'ended' }).newestMs(null), null);
  assert.equal(new SheetReader().newestMs(7000), 7000);
});

test('of the playlist and this word the later one counts', () => {
  for (const phase of ['live', 'ended', null]) {
    const reader = heard({ phase, lastSegmentMs: 5000 });
    assert.deepEqual([reader.newestMs(4000), reader.newestMs(6000)], [5000, 6000]);
  }
});

test('a reason of its own says more than the phase', () => {
  assert.equal(heard({ phase: 'waiting', reason: 'no route' }).reason, 'no route');
  assert.match(heard({ phase: 'ended' }).reason ?? '', /on demand/);
  assert.match(heard({ phase: 'stopped' }).reason ?? '', /stopped/);
  assert.equal(heard({ phase: 'live' }).reason, null);
});

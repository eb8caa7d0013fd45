import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clockSkewMs, madeAtMs } from '../src/clock.ts';

const NOW = Date.parse('2026-11-20T12:00:00Z');
const AT = (minutes: number) => new Date(NOW + minutes * 60_000).toUTCString();

test('the difference to the server is told by its date, unless that is an old answer', () => {
  assert.equal(clockSkewMs(`Date: ${AT(-60)}\r\nserver: x`, NOW), -60 * 60_000 + 500);
  assert.equal(clockSkewMs(`date: ${AT(-60)}\nage: 7`, NOW), 0);
  assert.equal(clockSkewMs(`date: ${AT(0)}`, NOW + 2000), 0);
  assert.equal(clockSkewMs('server: x', NOW), 0);
});

test('what is a minute old is so by a clock that goes wrong, too', () => {
  const made = (minutes: number, by: number) => {
    const headers = new Headers({ date: AT(0), 'last-modified': AT(-minutes) });
    const now = NOW + by * 60_000;
    return Math.round((now - (madeAtMs(headers, now) ?? Number.NaN)) / 1000);
  };
  assert.deepEqual([made(1, 0), made(1, 60), made(1, -10)], [60, 61, 61]);
  assert.equal(madeAtMs(new Headers(), NOW), null);
});

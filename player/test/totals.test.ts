import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Totals } from '../src/totals.ts';

const parts = { requests: 100, failedRequests: 10, requestsInVain: 5, partsLost: 3 };
const whole = { requests: 20, failedRequests: 1, requestsInVain: 0, partsLost: null };

test('counts go on over all engines', () => {
  const totals = new Totals();
  assert.deepEqual(totals.with(parts), parts);
  totals.keep(parts);
  assert.deepEqual(totals.with(whole), { ...whole, requests: 120, failedRequests: 11, requestsInVain: 5 });
  totals.keep(whole);
  assert.deepEqual(totals.with(null), {
    requests: 120,
    failedRequests: 11,
    requestsInVain: 5,
    partsLost: null,
  });
  // By parts again.
  assert.deepEqual(totals.with(parts), {
    requests: 220,
    failedRequests: 21,
    requestsInVain: 10,
    partsLost: 6,
  });
});

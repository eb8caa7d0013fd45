import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Store } from '../src/store.ts';

type Answering = () => Promise<Response>;

function asks(t: { mock: typeof import('node:test').mock }, answers: Answering[]): Store {
  t.mock.method(globalThis, 'fetch', async (_url: string, { signal }: RequestInit) => {
    const answer = answers.shift();
    if (answer) return answer();
    return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(new Error('aborted'))));
  });
  return new Store();
}

const says = (status: number) => async () => new Response('x', { status });
const noNetwork = () => Promise.reject(new TypeError('Failed to fetch'));

test('404, 400 (Supabase) and 403 (S3) are parts that are not there yet', async (t) => {
  const store = asks(t, [404, 400, 403, 410].map(says));
  for (const status of [404, 400, 403, 410])
    assert.deepEqual(await store.get('u'), { is: 'missing', status });
  assert.deepEqual([store.requests, store.faults], [4, 0]);
});

test('a store that is slow, full or broken is no part that is missing', async (t) => {
  const store = asks(t, [408, 429, 500, 503].map(says));
  for (const _ of [1, 2, 3, 4]) assert.equal((await store.get('u')).is, 'fault');
  assert.equal(store.faults, 4);
});

test('an error without a status is a missing part only while others are answered', async (t) => {
  const store = asks(t, [noNetwork, says(200), noNetwork]);
  assert.equal((await store.get('u')).is, 'fault');
  const there = await store.get('u');
  assert.equal(there.is === 'there' && there.bytes.byteLength, 1);
  assert.deepEqual(await store.get('u'), { is: 'missing', status: 0 });
});

test('what nobody waits for any more is neither', async (t) => {
  const store = asks(t, []);
  const answer = store.get('u');
  store.drop();
  assert.deepEqual(await answer, { is: 'over' });
  assert.equal(store.faults, 0);
});

test('who began before it was dropped asks no more, and whoever comes then does', async (t) => {
  const store = asks(t, [200, 200].map(says));
  const ask = store.asker();
  assert.equal((await ask('u')).is, 'there');
  store.drop();
  assert.deepEqual(await ask('u'), { is: 'over' });
  assert.equal(store.requests, 1);
  assert.equal((await store.get('u')).is, 'there');
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Search, Whereabouts } from '../src/whereabouts.ts';

test('the address is asked for while the picture stands, ever more rarely', () => {
  const search = new Search();
  const asked = (fromS: number, toS: number, stands = true) => {
    const times: number[] = [];
    for (let s = fromS; s <= toS; s += 0.5) if (search.isDue(s * 1000, stands)) times.push(s);
    return times;
  };
  assert.deepEqual(asked(0, 170), [3, 9, 21, 45, 93, 153]);
  // The last seconds that are shown again are no news.
  assert.deepEqual(asked(171, 180, false), []);
  assert.deepEqual(asked(181, 250), [241]);
  assert.deepEqual(asked(251, 300, false), []);
  assert.deepEqual(asked(301, 311), [304, 310]);
});

test('an address that is signed anew is followed only where the old one is refused', async () => {
  const playing = { answeredAtMs: 1000, failedRequests: 3, isLed: true };
  const after = async (found: string | undefined, ...looks: Partial<typeof playing>[]) => {
    const places = new Whereabouts(async () => found);
    let place: string | null = null;
    for (const [at, look] of [{}, ...looks].entries())
      place = await places.look(at * 4000, 'http://a/stream.m3u8?sig=1', { ...playing, ...look }, at > 0);
    return place;
  };
  const [signed, moved] = ['http://a/stream.m3u8?sig=2', 'http://a/multivariant.m3u8?sig=1'];
  const silent = { answeredAtMs: 2000 };
  assert.equal(await after(signed, silent, { answeredAtMs: 3000 }), null, 'the camera is silent');
  assert.equal(await after(moved, silent, { answeredAtMs: 3000 }), moved);
  const refused = { failedRequests: 9 };
  assert.equal(await after(signed, refused, refused), signed);
  const native = { isLed: false, answeredAtMs: Number.NEGATIVE_INFINITY, failedRequests: 0 };
  assert.equal(await after(signed, native, native), signed);
  for (const nothing of [undefined, '', 'http://a/stream.m3u8?sig=1'])
    assert.equal(await after(nothing, refused, refused), null);
});

test('who does not know does no harm', async () => {
  const places = new Whereabouts(async () => Promise.reject(new Error('offline')));
  assert.equal(await places.look(0, 'u', null, true), null);
  assert.equal(await places.look(3000, 'u', null, true), null);
});

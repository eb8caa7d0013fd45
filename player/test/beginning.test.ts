import assert from 'node:assert/strict';
import { test } from 'node:test';
import { tryParts } from '../src/beginning.ts';
import { INIT, PART } from './agent-mp4.ts';

const URL_OF = 'https://h/l/c/stream.m3u8';
const PLAYLIST = `#EXTM3U
#EXT-X-TARGETDURATION:1
#EXT-X-MEDIA-SEQUENCE:7
#EXT-X-PART-INF:PART-TARGET=0.2
#EXT-X-MAP:URI="init_a.mp4"
#EXTINF:1.0,
segment_a_000007.m4s
#EXT-X-PART:DURATION=0.2,URI="part_a_000040.m4s",INDEPENDENT=YES
`;
const PLAIN = '#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1.0,\nsegment_a_000007.m4s\n';

type Mocks = { mock: typeof import('node:test').mock };

/** `null`: it is not there. */
type Objects = Record<string, string | ArrayBuffer | null>;

function given({ mock }: Mocks, objects: Objects, takes = true): string[] {
  const asked: string[] = [];
  Object.assign(globalThis, { MediaSource: { isTypeSupported: () => takes } });
  mock.method(globalThis, 'fetch', async (url: string) => {
    const name = url.slice(url.lastIndexOf('/') + 1);
    asked.push(name);
    const body = objects[name] ?? null;
    return body === null ? new Response('', { status: 404 }) : new Response(body);
  });
  return asked;
}

const THERE = { 'stream.m3u8': PLAYLIST, 'init_a.mp4': INIT, 'part_a_000041.m4s': PART };
const tried = () => tryParts(URL_OF, URL_OF, new AbortController().signal);

test('parts that are there and can be played are gone back to, by the playlist that tells of them', async (t) => {
  given(t, THERE);
  assert.equal(await tried(), PLAYLIST);
  given(t, { ...THERE, 'part_a_000041.m4s': null, 'part_a_000040.m4s': PART });
  assert.equal(await tried(), PLAYLIST);
});

test('what is not offered any more is asked for no further', async (t) => {
  for (const playlist of [PLAIN, null]) {
    const asked = given(t, { ...THERE, 'stream.m3u8': playlist });
    assert.equal(await tried(), null);
    assert.deepEqual(asked, ['stream.m3u8']);
  }
});

test('what plays now is left alone where parts can not be had, read or decoded', async (t) => {
  const junk = new TextEncoder().encode('<html>').buffer;
  for (const missing of [
    { 'init_a.mp4': null },
    { 'init_a.mp4': junk },
    { 'part_a_000041.m4s': null },
    { 'part_a_000041.m4s': junk },
  ]) {
    given(t, { ...THERE, ...missing });
    assert.equal(await tried(), null, JSON.stringify(missing));
  }
  given(t, THERE, false);
  assert.equal(await tried(), null);
});

test('who hangs is not waited for, and nothing is asked for after that', async (t) => {
  const asked = given(t, THERE);
  const answer = globalThis.fetch;
  t.mock.method(globalThis, 'fetch', (url: string, init: RequestInit) => {
    if (!url.includes('part_')) return answer(url, init);
    asked.push('part');
    return new Promise((_, reject) =>
      init.signal?.addEventListener('abort', () => reject(new Error('over'))),
    );
  });
  const { signal } = new AbortController();
  assert.equal(await tryParts(URL_OF, URL_OF, signal, 50), null);
  // The first few at a time; those that the playlist names would be the next.
  assert.equal(asked.filter((name) => name === 'part').length, 5);
});

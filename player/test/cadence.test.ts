import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cadence } from '../src/cadence.ts';

function playlist(newest: number, seconds: number, end = ''): string {
  const first = Math.max(0, newest - 5);
  const lines = Array.from(
    { length: newest - first },
    (_, i) => `#EXTINF:${seconds},\nsegment_${first + i}.ts`,
  );
  return `#EXTM3U\n#EXT-X-MEDIA-SEQUENCE:${first}\n${lines.join('\n')}\n${end}`;
}

/** hls.js asks a segment after the last request, or half a target duration if there was nothing new. */
function watch(seconds: number, segmentS: number, phase: number, jitter: (n: number) => number) {
  const cadence = new Cadence();
  const storedAt = (n: number) => n * segmentS + jitter(n);
  let [at, known, requests] = [10 * segmentS + phase * segmentS, 0, 0];
  const late: number[] = [];
  const end = at + seconds;
  while (at < end) {
    requests += 1;
    let newest = Math.max(known, 1);
    while (storedAt(newest + 1) <= at) newest += 1;
    const next = cadence.answered({ url: 'u', text: playlist(newest, segmentS), beganMs: at * 1000 });
    if ('againInMs' in next) {
      at += next.againInMs / 1000;
      continue;
    }
    if (newest > known) late.push(at - storedAt(newest));
    at = next.beganMs / 1000 + (newest > known ? segmentS : Math.ceil(segmentS) / 2);
    known = newest;
  }
  const settled = late.slice(8).sort((a, b) => a - b);
  return {
    median: settled[Math.floor(settled.length / 2)] ?? Number.NaN,
    worst: settled.at(-1) ?? Number.NaN,
    perSegment: requests / (seconds / segmentS),
  };
}

for (const segmentS of [0.5, 1, 2, 6]) {
  test(`segments of ${segmentS} s are seen soon after they are there, for few requests`, () => {
    for (const phase of [0.05, 0.4, 0.6, 0.95]) {
      const seen = watch(200, segmentS, phase, () => 0);
      const words = `phase ${phase}: ${JSON.stringify(seen)}`;
      assert.ok(seen.median < Math.max(0.06, 0.1 * segmentS), words);
      assert.ok(seen.worst < Math.max(0.1, 0.3 * segmentS), words);
      assert.ok(seen.perSegment < 1.5, words);
    }
  });
}

test('uploads that take now longer, now shorter cost some requests more', () => {
  const seen = watch(200, 1, 0.5, (n) => ((n * 7) % 10) / 30);
  assert.ok(seen.median < 0.3 && seen.perSegment < 3, JSON.stringify(seen));
});

test('a silent camera is asked for as rarely as hls.js does', () => {
  const cadence = new Cadence();
  const ask = (beganMs: number) => cadence.answered({ url: 'u', text: playlist(9, 1), beganMs });
  assert.ok('beganMs' in ask(0));
  let tries = 0;
  while ('againInMs' in ask(1000 + tries)) tries += 1;
  assert.equal(tries, 8);
  for (let at = 2000; at < 9000; at += 500) assert.deepEqual(ask(at), { beganMs: at });
});

test('another rendition, an ended stream and what is no playlist are handed on at once', () => {
  const cadence = new Cadence();
  cadence.answered({ url: 'a', text: playlist(9, 1), beganMs: 0 });
  assert.deepEqual(cadence.answered({ url: 'b', text: playlist(9, 1), beganMs: 100 }), { beganMs: 100 });
  const ended = playlist(9, 1, '#EXT-X-ENDLIST\n');
  assert.deepEqual(cadence.answered({ url: 'b', text: ended, beganMs: 200 }), { beganMs: 200 });
  assert.deepEqual(cadence.answered({ url: 'b', text: '<html>', beganMs: 300 }), { beganMs: 300 });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readInit, readSpan } from '../src/mp4.ts';
import { INIT, PART } from './agent-mp4.ts';

/** Where the first frame's flags are in it: behind its run's head, its duration and its size. */
const FIRST_FLAGS = 24 + 8 + 16 + 20 + 20 + 8;

function changed(bytes: ArrayBuffer, at: number, value: number): ArrayBuffer {
  const copy = bytes.slice(0);
  new DataView(copy).setUint32(at, value);
  return copy;
}

test('an init object tells its codecs', () => {
  const init = readInit(INIT);
  assert.equal(init?.type, 'video/mp4; codecs="avc1.42C016,mp4a.40.2"');
  assert.deepEqual(
    init?.tracks.map(({ id, isVideo, perSecond }) => [id, isVideo, perSecond]),
    [
      [1, true, 10_240],
      [2, false, 48_000],
    ],
  );
});

test('a part tells when its picture begins and ends', () => {
  const init = readInit(INIT);
  assert.ok(init);
  // As ffprobe has it.
  assert.deepEqual(readSpan(PART, init), { startS: 417, endS: 417.2, independent: true });
  assert.equal(readSpan(changed(PART, FIRST_FLAGS, 0x101_0000), init)?.independent, false);
  // Of sound alone all parts can be begun with.
  const sound = { ...init, tracks: init.tracks.filter(({ isVideo }) => !isVideo) };
  const span = readSpan(changed(PART, FIRST_FLAGS, 0x101_0000), sound);
  assert.ok(span && Math.abs(span.endS - span.startS - 0.256) < 1e-9 && span.independent);
});

test('H.265 is called as browsers want it', () => {
  const record = [1, 4, 8, 0, 0, 0, 0x9e, 8, 0, 0, 0, 0, 0x1e, 0xf0, 0];
  const init = readInit(changedCodec('hvc1', 'hvcC', record));
  assert.equal(init?.tracks[0]?.codec, 'hvc1.4.10.L30.9e.8');
  const main = [1, 0x21, 0x60, 0, 0, 0, 0x90, 0, 0, 0, 0, 0, 0x5d];
  assert.equal(readInit(changedCodec('hev1', 'hvcC', main))?.tracks[0]?.codec, 'hev1.1.6.H93.90');
  assert.equal(readInit(changedCodec('vp09', 'vpcC', record)), null);
});

/** A track with this sample entry. */
function changedCodec(entry: string, configuration: string, record: number[]): ArrayBuffer {
  const sample = box(entry, [...Array(78).fill(0), ...box(configuration, record)]);
  const stsd = box('stsd', [0, 0, 0, 0, 0, 0, 0, 1, ...sample]);
  const mdhd = box('mdhd', [...Array(12).fill(0), 0, 0, 0x2a, 0xf8, ...Array(8).fill(0)]);
  const hdlr = box('hdlr', [...Array(8).fill(0), ...text('vide'), ...Array(13).fill(0)]);
  const mdia = box('mdia', [...mdhd, ...hdlr, ...box('minf', box('stbl', stsd))]);
  const tkhd = box('tkhd', [...Array(12).fill(0), 0, 0, 0, 1, ...Array(68).fill(0)]);
  return Uint8Array.from(box('moov', box('trak', [...tkhd, ...mdia]))).buffer;
}

function box(type: string, body: number[]): number[] {
  const size = body.length + 8;
  return [0, 0, size >> 8, size & 0xff, ...text(type), ...body];
}

function text(word: string): number[] {
  return [...word].map((letter) => letter.charCodeAt(0));
}

test('what is cut short or no MP4 at all is not read, and nothing is thrown', () => {
  const init = readInit(INIT);
  assert.ok(init);
  for (let length = 0; length < INIT.byteLength - 8; length += 7) readInit(INIT.slice(0, length));
  for (let length = 0; length < PART.byteLength; length += 1)
    assert.equal(readSpan(PART.slice(0, length), init), null, `${length}`);
  assert.equal(readInit(new TextEncoder().encode('<html>not found</html>').buffer), null);
  assert.equal(readSpan(INIT, init), null);
  // Each word of it as something else.
  for (let at = 0; at + 4 <= PART.byteLength; at += 4) readSpan(changed(PART, at, 0xffff_ffff), init);
  for (let at = 0; at + 4 <= INIT.byteLength; at += 4) readInit(changed(INIT, at, 0xffff_ffff));
});

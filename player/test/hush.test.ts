import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Hush } from '../src/hush.ts';
import { type Init, readInit, readSpan } from '../src/mp4.ts';
import type { Part } from '../src/part-queue.ts';
import { INIT, PART } from './agent-mp4.ts';

const PER_SECOND = { picture: 10_240, sound: 48_000 };
const PACKET_S = 1024 / PER_SECOND.sound;
/** Of the sound in `PART`. */
const SOUND_S = 12 * PACKET_S;

function init(): Init {
  const found = readInit(INIT);
  assert.ok(found);
  return found;
}

const soundOf = (bytes: ArrayBuffer | undefined) =>
  bytes && readSpan(bytes, { ...init(), tracks: init().tracks.filter(({ isVideo }) => !isVideo) });

/** `PART` with its picture and its sound at other times. */
function part(number: number, pictureS: number, soundS: number): Part {
  const bytes = PART.slice(0);
  const text = Buffer.from(bytes).toString('latin1');
  const first = text.indexOf('tfdt');
  const view = new DataView(bytes);
  view.setBigUint64(first + 8, BigInt(Math.round(pictureS * PER_SECOND.picture)));
  view.setBigUint64(text.indexOf('tfdt', first + 1) + 8, BigInt(Math.round(soundS * PER_SECOND.sound)));
  const span = readSpan(bytes, init());
  assert.ok(span);
  return { number, ...span, bytes };
}

const near = (a: number | undefined, b: number) =>
  assert.ok(Math.abs((a ?? Number.NaN) - b) < 1e-4, `${a} ${b}`);

test('nobody hears it: silence is there as long as the picture is, without a hole', () => {
  const hush = new Hush();
  let endS: number | null = null;
  for (let number = 0; number < 20; number += 1) {
    const startS = 10 + number * 0.2;
    const bytes = hush.take(part(number, startS, startS - 0.1), init(), 0, true);
    assert.deepEqual(readSpan(bytes, init()), readSpan(part(number, startS, startS).bytes, init()));
    const span = soundOf(bytes);
    if (endS !== null) near(span?.startS, endS);
    // In step with the packets that it takes the place of.
    const packets = ((span?.startS ?? 0) - (startS - 0.1)) / PACKET_S;
    if (endS === null) near(packets, Math.round(packets));
    endS = span?.endS ?? 0;
    assert.ok(endS >= startS + 0.4 - 1e-9 && endS < startS + 0.4 + PACKET_S + 1e-4, `${endS}`);
    assert.ok(
      Buffer.from(bytes).includes(Buffer.from([0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c])),
      'of two channels',
    );
  }
});

/** Parts of a camera whose sound is `lagS` later than its picture: each has what is there by its end. */
function* parts(lagS: number, toNumber: number): Generator<Part> {
  let soundS = 10 - SOUND_S;
  for (let number = 0; number < toNumber; number += 1) {
    const startS = 10 + number * 0.2;
    // `PART` has twelve packets: a part that has none of its own is one that comes later.
    const has = soundS + SOUND_S <= startS + 0.2 - lagS;
    yield has ? part(number, startS, soundS) : soundless(number, startS);
    if (has) soundS += SOUND_S;
  }
}

function soundless(number: number, startS: number): Part {
  const own = part(number, startS, startS);
  const text = Buffer.from(own.bytes).toString('latin1');
  new Uint8Array(own.bytes).set([0x66, 0x72, 0x65, 0x65], text.indexOf('traf', text.indexOf('traf') + 1));
  assert.equal(soundOf(own.bytes), null);
  return own;
}

const isSilence = (bytes: ArrayBuffer) => Buffer.from(bytes).indexOf('moof', 8) > 8;

test('turned on, it begins with the first sound that does not go back, and without a hole', () => {
  for (const lagS of [0.02, 0.1, 0.35]) {
    const hush = new Hush();
    let endS: number | null = null;
    let heardAt: number | null = null;
    for (const one of parts(lagS, 40)) {
      const isMute = one.number < 10 || one.number >= 30;
      const bytes = hush.take(one, init(), 0, isMute);
      const span = soundOf(bytes);
      if (span && endS !== null)
        assert.ok(span.startS - endS > -1e-4, `${lagS}: back from ${endS} to ${span.startS}`);
      if (span && endS !== null)
        assert.ok(span.startS - endS < 1e-4, `${lagS}: a hole from ${endS} to ${span.startS}`);
      if (span) endS = span.endS;
      if (isMute) assert.ok((endS ?? 0) > one.endS, `${lagS}: no silence to the end of part ${one.number}`);
      else if (span && !isSilence(bytes)) heardAt ??= one.number;
    }
    assert.ok(heardAt !== null && heardAt <= 15, `${lagS}: heard at ${heardAt}`);
  }
});

test('times are those of the run, whatever was shown before', () => {
  const hush = new Hush();
  const first = hush.take(part(0, 10, 9.9), init(), -10, true);
  const second = hush.take(part(0, 500, 499.9), init(), -499.8, true);
  near((soundOf(second)?.startS ?? 0) - 499.8, (soundOf(first)?.endS ?? 0) - 10);
});

test('sound stays where silence is not known, or nothing else is', () => {
  const isSound = ({ isVideo }: { isVideo: boolean }) => !isVideo;
  const unknown = { ...init(), tracks: init().tracks.map((track) => ({ ...track, silence: null })) };
  const alone = { ...init(), tracks: init().tracks.filter(isSound) };
  const picture = { ...init(), tracks: init().tracks.filter((track) => !isSound(track)) };
  for (const tracks of [unknown, alone, picture]) {
    const bytes = new Hush().take(part(0, 10, 9.9), tracks, 0, true);
    assert.deepEqual(bytes, part(0, 10, 9.9).bytes);
  }
});

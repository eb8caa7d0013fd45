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
  let endS = 10;
  for (let number = 0; number < 20; number += 1) {
    const startS = 10 + number * 0.2;
    const [own, silence] = hush.take(part(number, startS, startS - 0.1), init(), 0, true);
    assert.equal(soundOf(own), null, 'its own is gone');
    assert.deepEqual(own && readSpan(own, init()), readSpan(part(number, startS, startS).bytes, init()));
    const span = soundOf(silence);
    near(span?.startS, endS);
    endS = span?.endS ?? 0;
    assert.ok(endS >= startS + 0.2 - 1e-9 && endS < startS + 0.2 + PACKET_S + 1e-4, `${endS}`);
  }
});

test('turned on, it begins with the first sound that does not go back', () => {
  const hush = new Hush();
  const take = (number: number, isMute: boolean) => {
    const pictureS = 10 + number * 0.2;
    // As long as `PART` has sound each, and later than the picture.
    return hush.take(part(number, pictureS, 9.9 + number * SOUND_S), init(), 0, isMute);
  };
  const [, before] = take(0, true);
  const [handing, until] = take(1, false);
  assert.equal(soundOf(handing), null, 'its sound began before the silence ended');
  near(soundOf(until)?.startS, soundOf(before)?.endS ?? 0);
  near(soundOf(until)?.endS, 9.9 + 2 * SOUND_S);
  const heard = take(2, false);
  assert.equal(heard.length, 1);
  near(soundOf(heard[0])?.startS, 9.9 + 2 * SOUND_S);
  near(soundOf(take(3, true)[1])?.startS, 9.9 + 3 * SOUND_S);
});

test('times are those of the run, whatever was shown before', () => {
  const hush = new Hush();
  const first = hush.take(part(0, 10, 9.9), init(), -10, true);
  const second = hush.take(part(0, 500, 499.9), init(), -499.8, true);
  near((soundOf(second[1])?.startS ?? 0) - 499.8, (soundOf(first[1])?.endS ?? 0) - 10);
});

test('sound stays where silence is not known, or nothing else is', () => {
  const isSound = ({ isVideo }: { isVideo: boolean }) => !isVideo;
  const unknown = { ...init(), tracks: init().tracks.map((track) => ({ ...track, silence: null })) };
  const alone = { ...init(), tracks: init().tracks.filter(isSound) };
  const picture = { ...init(), tracks: init().tracks.filter((track) => !isSound(track)) };
  for (const tracks of [unknown, alone, picture]) {
    const pieces = new Hush().take(part(0, 10, 9.9), tracks, 0, true);
    assert.deepEqual(pieces, [part(0, 10, 9.9).bytes]);
  }
});

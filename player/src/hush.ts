// Silence in the place of a stream's sound, for as long as nobody hears it. A packet of sound is there when its last sample is, so
// what a part has of sound ends a tenth of a second before its pictures do, and browsers play no picture beyond it. Pure.
//
// The sound's track stays: without one, browsers offer no button to turn it on.
import { blank, type Init, PACKET, readSpan, type Track } from './mp4.ts';
import type { Part } from './part-queue.ts';

/** What sound before a part is made up for: more was a jump of the time. */
const MOST_S = 10;
const TINY_S = 0.001;
/** Browsers decode sound farther ahead than pictures; what stands for want of a part is then the picture, and no time is lost. */
const AHEAD_S = 0.2;

export class Hush {
  /** Of the sound that was fed, in media time. */
  private endS: number | null = null;
  /** Its last was silence of ours. */
  private isFilled = false;

  /** What is to be fed for a part; `offsetS`: of media time to that of its run. */
  take(part: Part, { tracks }: Init, offsetS: number, isMute: boolean): ArrayBuffer {
    const sound = tracks.find(({ isVideo }) => !isVideo);
    if (!sound?.silence || !tracks.some(({ isVideo }) => isVideo)) {
      [this.endS, this.isFilled] = [null, false];
      return part.bytes;
    }
    const real = readSpan(part.bytes, { tracks: [sound], type: '' });
    // Time that went back would cost the picture all frames to the next keyframe.
    const goesOn = !this.isFilled || real === null || real.startS + offsetS >= (this.endS ?? 0) - TINY_S;
    if (!isMute && goesOn) {
      if (real) [this.endS, this.isFilled] = [real.endS + offsetS, false];
      return part.bytes;
    }
    const before = this.endS === null ? null : this.endS - offsetS;
    const begin = beginning(sound, part, before, real?.startS ?? null);
    // To be heard again: up to where the next part's sound begins.
    const packets = isMute
      ? Math.ceil(units(sound, part.endS + AHEAD_S, begin) / PACKET)
      : Math.floor(units(sound, real?.endS ?? 0, begin) / PACKET);
    blank(part.bytes, sound);
    if (packets <= 0) return part.bytes;
    [this.endS, this.isFilled] = [(begin + packets * PACKET) / sound.perSecond + offsetS, true];
    return joined(part.bytes, fragment(sound, part.number, begin, packets));
  }
}

/** Where the silence begins, in the sound's unit. */
function beginning(sound: Track, part: Part, beforeS: number | null, realS: number | null): number {
  if (beforeS !== null) return units(sound, Math.max(beforeS, part.startS - MOST_S), 0);
  const from = units(sound, part.startS, 0);
  if (realS === null) return from;
  // In step with its own packets, so that these follow without a hole.
  const own = units(sound, realS, 0);
  return own + Math.floor((from - own) / PACKET) * PACKET;
}

function units({ perSecond }: Track, seconds: number, since: number): number {
  return Math.round(seconds * perSecond) - since;
}

function joined(one: ArrayBuffer, other: ArrayBuffer): ArrayBuffer {
  const both = new Uint8Array(one.byteLength + other.byteLength);
  both.set(new Uint8Array(one));
  both.set(new Uint8Array(other), one.byteLength);
  return both.buffer;
}

/** A movie fragment of silent packets: ISO/IEC 14496-12, 8.8. */
function fragment({ id, silence }: Track, number: number, begin: number, packets: number): ArrayBuffer {
  const packet = silence ?? [];
  const each = Array.from({ length: packets });
  const [hasDataAt, hasDuration, hasSize] = [0x1, 0x100, 0x200];
  const [isFromFragment, hasFlags, aloneIsEnough] = [0x2_0000, 0x20, 0x200_0000];
  const moof = (dataAt: number) =>
    box(
      'moof',
      box('mfhd', words(0, number + 1)),
      box(
        'traf',
        box('tfhd', words(isFromFragment | hasFlags, id, aloneIsEnough)),
        box('tfdt', words(0x100_0000, Math.floor(begin / 2 ** 32), begin % 2 ** 32)),
        box(
          'trun',
          words(hasDataAt | hasDuration | hasSize, packets, dataAt),
          ...each.map(() => words(PACKET, packet.length)),
        ),
      ),
    );
  const mdat = box('mdat', ...each.map(() => packet));
  return Uint8Array.from([...moof(moof(0).length + 8), ...mdat]).buffer;
}

function box(type: string, ...inside: (readonly number[])[]): number[] {
  const body = inside.flat();
  return [...words(8 + body.length), ...[...type].map((letter) => letter.charCodeAt(0)), ...body];
}

/** Of 32 bits each. */
function words(...values: number[]): number[] {
  return values.flatMap((value) => [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff]);
}

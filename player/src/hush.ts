// Silence in the place of a stream's sound, for as long as nobody hears it. A packet of sound is there when its last sample is, so
// what a part has of sound ends a tenth of a second before its pictures do, and browsers play no picture beyond it. Pure.
//
// The sound's track stays: without one, browsers offer no button to turn it on.
import { blank, type Init, PACKET, readSpan, type Track } from './mp4.ts';
import type { Part } from './part-queue.ts';

/** What sound before a part is made up for: more was a jump of the time. */
const MOST_S = 1;
const TINY_S = 0.001;

export class Hush {
  /** Of the sound that was fed, in media time. */
  private endS: number | null = null;
  /** Its last was silence of ours. */
  private isFilled = false;

  /** What is to be fed for a part; `offsetS`: of media time to that of its run. */
  take(part: Part, { tracks }: Init, offsetS: number, isMute: boolean): ArrayBuffer[] {
    const sound = tracks.find(({ isVideo }) => !isVideo);
    if (!sound?.silence || !tracks.some(({ isVideo }) => isVideo)) return [part.bytes];
    const real = readSpan(part.bytes, { tracks: [sound], type: '' });
    // Time that went back would cost the picture all frames to the next keyframe.
    const goesOn = !this.isFilled || (real !== null && real.startS + offsetS >= (this.endS ?? 0) - TINY_S);
    if (!isMute && goesOn) {
      if (real) this.endS = real.endS + offsetS;
      this.isFilled = false;
      return [part.bytes];
    }
    blank(part.bytes, sound);
    const fromS = this.endS === null ? part.startS : Math.max(this.endS - offsetS, part.startS - MOST_S);
    // To be heard again: up to where the next part's sound begins.
    const lasts = isMute || !real ? covering(sound, fromS, part.endS) : within(sound, fromS, real.endS);
    if (lasts.length === 0) return [part.bytes];
    const begin = Math.round(fromS * sound.perSecond);
    const end = begin + lasts.reduce((sum, one) => sum + one, 0);
    [this.endS, this.isFilled] = [end / sound.perSecond + offsetS, true];
    return [part.bytes, fragment(sound, part.number, begin, lasts)];
  }
}

/** Packets that last until then at least. */
function covering({ perSecond }: Track, fromS: number, toS: number): number[] {
  const packets = ((toS - fromS) * perSecond) / PACKET;
  return Array(Math.max(0, Math.ceil(packets - 0.01))).fill(PACKET);
}

/** Packets that last exactly until then, the last one longer; none if there is no room for one. */
function within({ perSecond }: Track, fromS: number, toS: number): number[] {
  const units = Math.round(toS * perSecond) - Math.round(fromS * perSecond);
  const lasts = Array(Math.max(0, Math.floor(units / PACKET))).fill(PACKET);
  if (lasts.length > 0) lasts[lasts.length - 1] += units % PACKET;
  return lasts;
}

/** A movie fragment of silent packets: ISO/IEC 14496-12, 8.8. */
function fragment({ id, silence }: Track, number: number, begin: number, lasts: number[]): ArrayBuffer {
  const packet = silence ?? [];
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
          words(hasDataAt | hasDuration | hasSize, lasts.length, dataAt),
          ...lasts.map((units) => words(units, packet.length)),
        ),
      ),
    );
  const mdat = box('mdat', ...lasts.map(() => packet));
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

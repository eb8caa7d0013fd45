// As much of fragmented MP4 as a player of parts needs: codecs, and when a part begins and ends. Pure.

export interface Track {
  id: number;
  isVideo: boolean;
  perSecond: number;
  /** As `MediaSource.isTypeSupported` wants it. */
  codec: string;
  /** A packet in which nothing is heard; `null`: not of sound, or not known. */
  silence: readonly number[] | null;
}

export interface Init {
  tracks: readonly Track[];
  /** What a source buffer is made with. */
  type: string;
}

/** Times of the picture (of the sound, if there is no picture), in seconds of the run. */
export interface Span {
  startS: number;
  endS: number;
  /** It begins with a keyframe. */
  independent: boolean;
}

/** Of AAC-LC at whatever rate, of one channel and of two: what ffmpeg's encoder makes of silence. */
const SILENCE: Readonly<Record<number, readonly number[]>> = {
  1: [0x01, 0x18, 0x20, 0x07],
  2: [0x21, 0x10, 0x04, 0x60, 0x8c, 0x1c],
};
/** Samples in a packet of AAC-LC. */
export const PACKET = 1024;
/** What AAC can have; its track counts in samples. */
const RATES: readonly [number, number] = [7350, 96_000];
const FREE = [...'free'].map((letter) => letter.charCodeAt(0));

interface Box {
  type: string;
  /** Of its name, in the whole. */
  nameAt: number;
  /** Without its head. */
  body: DataView;
}

/** `null`: not what it should be, or of a codec that is not known here. */
export function readInit(bytes: ArrayBuffer): Init | null {
  try {
    const moov = boxes(new DataView(bytes)).find(({ type }) => type === 'moov');
    if (!moov) return null;
    const tracks = boxes(moov.body)
      .filter(({ type }) => type === 'trak')
      .map(({ body }) => readTrack(body));
    if (tracks.length === 0 || tracks.some((track) => track === null)) return null;
    const known = tracks.filter((track) => track !== null);
    const kind = known.some(({ isVideo }) => isVideo) ? 'video' : 'audio';
    const codecs = known.map(({ codec }) => codec).join(',');
    return { tracks: known, type: `${kind}/mp4; codecs="${codecs}"` };
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** `null`: no whole fragment of these tracks. */
export function readSpan(bytes: ArrayBuffer, { tracks }: Init): Span | null {
  const main = tracks.find(({ isVideo }) => isVideo) ?? tracks[0];
  if (!main) return null;
  try {
    const all = boxes(new DataView(bytes));
    if (!all.some(({ type }) => type === 'mdat')) return null;
    const runs = all
      .filter(({ type }) => type === 'moof')
      .flatMap(({ body }) => boxes(body))
      .filter(({ type }) => type === 'traf')
      .map(({ body }) => readFragment(body))
      .filter(({ id, lasts }) => id === main.id && lasts > 0);
    const [first, last] = [runs[0], runs.at(-1)];
    if (!first || !last) return null;
    const independent = !main.isVideo || first.isSync;
    return {
      startS: first.begin / main.perSecond,
      endS: (last.begin + last.lasts) / main.perSecond,
      independent,
    };
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

/** Of a part, in place: this track becomes `free` space, which every reader passes over. The part has been read before. */
export function blank(bytes: ArrayBuffer, { id }: Track): void {
  const fragments = boxes(new DataView(bytes))
    .filter(({ type }) => type === 'moof')
    .flatMap(({ body }) => boxes(body));
  for (const { type, body, nameAt } of fragments) {
    if (type === 'traf' && readFragment(body).id === id) new Uint8Array(bytes).set(FREE, nameAt);
  }
}

/** Throws a `RangeError` for a box that is longer than what it is in. */
function boxes(view: DataView): Box[] {
  const found: Box[] = [];
  for (let at = 0; at + 8 <= view.byteLength; ) {
    let size = view.getUint32(at);
    let head = 8;
    if (size === 1) {
      size = Number(view.getBigUint64(at + 8));
      head = 16;
    } else if (size === 0) size = view.byteLength - at;
    if (size < head) throw new RangeError('a box without a size');
    const nameAt = view.byteOffset + at + 4;
    found.push({ type: name(view, at + 4), nameAt, body: slice(view, at + head, size - head) });
    at += size;
  }
  return found;
}

function slice(view: DataView, at: number, length: number): DataView {
  return new DataView(view.buffer, view.byteOffset + at, length);
}

function rest(view: DataView, at: number): DataView {
  return slice(view, at, view.byteLength - at);
}

function name(view: DataView, at: number): string {
  return String.fromCharCode(...[0, 1, 2, 3].map((i) => view.getUint8(at + i)));
}

function inside(view: DataView, ...path: string[]): DataView | null {
  let here: DataView | null = view;
  for (const step of path) {
    here = boxes(here).find(({ type }) => type === step)?.body ?? null;
    if (!here) return null;
  }
  return here;
}

function readTrack(trak: DataView): Track | null {
  const tkhd = inside(trak, 'tkhd');
  const mdhd = inside(trak, 'mdia', 'mdhd');
  const stsd = inside(trak, 'mdia', 'minf', 'stbl', 'stsd');
  const hdlr = inside(trak, 'mdia', 'hdlr');
  if (!tkhd || !mdhd || !stsd || !hdlr) return null;
  const long = (view: DataView) => view.getUint8(0) === 1;
  const [entry] = boxes(rest(stsd, 8));
  const { codec, channels = 0 } = (entry && codecOf(entry)) ?? {};
  const perSecond = mdhd.getUint32(long(mdhd) ? 20 : 12);
  if (!codec || perSecond === 0) return null;
  const id = tkhd.getUint32(long(tkhd) ? 20 : 12);
  const isInSamples = perSecond >= RATES[0] && perSecond <= RATES[1];
  const silence = isInSamples ? (SILENCE[channels] ?? null) : null;
  return { id, isVideo: name(hdlr, 8) === 'vide', perSecond, codec, silence };
}

interface Codec {
  codec: string | null;
  /** Of AAC-LC. */
  channels?: number;
}

function codecOf({ type, body }: Box): Codec | null {
  // What a sample entry of a picture, of sound has before its boxes.
  const [picture, sound] = [78, 28];
  if (type === 'avc1' || type === 'avc3') {
    const avcC = inside(rest(body, picture), 'avcC');
    return avcC && { codec: `${type}.${[1, 2, 3].map((at) => hex(avcC.getUint8(at))).join('')}` };
  }
  if (type === 'hvc1' || type === 'hev1') {
    const hvcC = inside(rest(body, picture), 'hvcC');
    return hvcC && { codec: `${type}.${hevc(hvcC)}` };
  }
  if (type === 'mp4a') {
    const esds = inside(rest(body, sound), 'esds');
    return esds && aac(esds);
  }
  return null;
}

/** ISO/IEC 14496-15, annex E. */
function hevc(hvcC: DataView): string {
  const profile = hvcC.getUint8(1);
  const space = ['', 'A', 'B', 'C'][profile >> 6];
  let compatible = 0;
  for (let bit = 0; bit < 32; bit += 1) {
    if (hvcC.getUint32(2) & (1 << bit)) compatible |= 1 << (31 - bit);
  }
  const constraints = Array.from({ length: 6 }, (_, at) => hvcC.getUint8(6 + at));
  while (constraints.length && constraints.at(-1) === 0) constraints.pop();
  const tier = profile & 0x20 ? 'H' : 'L';
  const words = [`${space}${profile & 0x1f}`, (compatible >>> 0).toString(16), `${tier}${hvcC.getUint8(12)}`];
  return [...words, ...constraints.map((byte) => byte.toString(16))].join('.');
}

/** Down to the decoder's own description: ISO/IEC 14496-1, 7.2.6. */
function aac(esds: DataView): Codec | null {
  let at = 4;
  const open = (): number => {
    const tag = esds.getUint8(at);
    at += 1;
    while (esds.getUint8(at) & 0x80) at += 1;
    at += 1;
    return tag;
  };
  if (open() !== 3) return null;
  const flags = esds.getUint8(at + 2);
  at += 3 + (flags & 0x80 ? 2 : 0) + (flags & 0x20 ? 2 : 0);
  if (flags & 0x40) at += 1 + esds.getUint8(at);
  if (open() !== 4) return null;
  const kind = esds.getUint8(at);
  at += 13;
  if (kind !== 0x40) return { codec: `mp4a.${hex(kind)}` };
  if (open() !== 5) return null;
  const object = esds.getUint8(at) >> 3;
  const escaped = 32 + ((esds.getUint16(at) >> 5) & 0x3f);
  const codec = `mp4a.40.${object === 31 ? escaped : object}`;
  const told = esds.getUint16(at);
  // Of AAC-LC with a usual rate and 1024 samples in a packet: ISO/IEC 14496-3, 1.6.2.1 and 4.4.1.
  const isUsual = object === 2 && ((told >> 7) & 0xf) !== 0xf && (told & 0x4) === 0;
  return isUsual ? { codec, channels: (told >> 3) & 0xf } : { codec };
}

function hex(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, '0');
}

interface Fragment {
  id: number;
  begin: number;
  lasts: number;
  isSync: boolean;
}

const NOT_SYNC = 0x1_0000;

function readFragment(traf: DataView): Fragment {
  const all = boxes(traf);
  const body = (type: string) => all.find((box) => box.type === type)?.body;
  const [tfhd, tfdt] = [body('tfhd'), body('tfdt')];
  if (!tfhd || !tfdt) return { id: 0, begin: 0, lasts: 0, isSync: false };
  const usual = readDefaults(tfhd);
  const begin = tfdt.getUint8(0) === 1 ? Number(tfdt.getBigUint64(4)) : tfdt.getUint32(4);
  const runs = all.filter(({ type }) => type === 'trun').map((box) => readRun(box.body, usual));
  const lasts = runs.reduce((sum, run) => sum + run.lasts, 0);
  const flags = runs[0]?.firstFlags ?? NOT_SYNC;
  return { id: tfhd.getUint32(4), begin, lasts, isSync: (flags & NOT_SYNC) === 0 };
}

interface Defaults {
  duration: number;
  flags: number;
}

function readDefaults(tfhd: DataView): Defaults {
  const flags = tfhd.getUint32(0) & 0xff_ffff;
  const found: Defaults = { duration: 0, flags: NOT_SYNC };
  let at = 8 + (flags & 0x1 ? 8 : 0) + (flags & 0x2 ? 4 : 0);
  if (flags & 0x8) {
    found.duration = tfhd.getUint32(at);
    at += 4;
  }
  if (flags & 0x10) at += 4;
  if (flags & 0x20) found.flags = tfhd.getUint32(at);
  return found;
}

function readRun(trun: DataView, usual: Defaults): { lasts: number; firstFlags: number } {
  const flags = trun.getUint32(0) & 0xff_ffff;
  const count = trun.getUint32(4);
  let at = 8 + (flags & 0x1 ? 4 : 0);
  let firstFlags = usual.flags;
  if (flags & 0x4) {
    firstFlags = trun.getUint32(at);
    at += 4;
  }
  const [hasDuration, hasSize, hasFlags, hasOffset] = [0x100, 0x200, 0x400, 0x800].map((bit) => flags & bit);
  const size = 4 * [hasDuration, hasSize, hasFlags, hasOffset].filter(Boolean).length;
  if (hasFlags && count > 0 && !(flags & 0x4)) {
    firstFlags = trun.getUint32(at + (hasDuration ? 4 : 0) + (hasSize ? 4 : 0));
  }
  if (!hasDuration) return { lasts: count * usual.duration, firstFlags };
  let lasts = 0;
  for (let sample = 0; sample < count; sample += 1) lasts += trun.getUint32(at + sample * size);
  return { lasts, firstFlags };
}

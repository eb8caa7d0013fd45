import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readPartsPlaylist } from '../src/parts-playlist.ts';

const AT = 'https://h/location_1/cam/stream.m3u8';
const RUN = '1a201793e44f9d3495d';

function part(number: number, more = '', run = RUN): string {
  const name = `part_${run}_${String(number).padStart(6, '0')}.m4s`;
  return `#EXT-X-PART:DURATION=0.200000,URI="${name}"${more}`;
}

function parts(from: number, run = RUN): string {
  return [part(from, ',INDEPENDENT=YES', run), ...[1, 2, 3, 4].map((at) => part(from + at, '', run))].join(
    '\n',
  );
}

const HEAD = `#EXTM3U
#EXT-X-VERSION:6
#EXT-X-TARGETDURATION:1
#EXT-X-MEDIA-SEQUENCE:1795321091
#EXT-X-INDEPENDENT-SEGMENTS
#EXT-X-SERVER-CONTROL:PART-HOLD-BACK=2.400
#EXT-X-PART-INF:PART-TARGET=0.200000
#EXT-X-MAP:URI="init_${RUN}.mp4"`;

const PLAYLIST = `${HEAD}
#EXT-X-PROGRAM-DATE-TIME:2026-11-22T04:18:12.640Z
#EXTINF:1.000000,
segment_${RUN}_000039.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-11-22T04:18:13.640Z
${parts(200)}
#EXTINF:1.000000,
segment_${RUN}_000040.m4s
#EXT-X-PROGRAM-DATE-TIME:2026-11-22T04:18:14.640Z
${parts(205)}
#EXTINF:1.000000,
segment_${RUN}_000041.m4s
#EXT-X-PRELOAD-HINT:TYPE=PART,URI="part_${RUN}_000210.m4s"
`;

test('one long part does not tell how long the others are', () => {
  const long = PLAYLIST.replace('PART-TARGET=0.200000', 'PART-TARGET=0.700000').replace(
    part(202),
    part(202).replace('0.200000', '0.700000'),
  );
  assert.equal(readPartsPlaylist(long, AT)?.parts?.partS, 0.2);
  const alone = HEAD.replace('0.200000', '0.500000');
  const hint = `#EXT-X-PRELOAD-HINT:TYPE=PART,URI="part_${RUN}_000000.m4s"`;
  assert.equal(readPartsPlaylist(`${alone}\n${hint}\n`, AT)?.parts?.partS, 0.5);
});

test('a playlist tells where to go on, and how the next parts are called', () => {
  const read = readPartsPlaylist(PLAYLIST, AT);
  assert.ok(read?.parts);
  const { parts, nextSegment, newestMs, isEnded } = read;
  assert.equal(parts.initUrl, `https://h/location_1/cam/init_${RUN}.mp4`);
  assert.equal(parts.next, 210);
  assert.equal(parts.partS, 0.2);
  assert.equal(parts.url(210), `https://h/location_1/cam/part_${RUN}_000210.m4s`);
  assert.equal(parts.url(1_234_567), `https://h/location_1/cam/part_${RUN}_1234567.m4s`);
  assert.equal(parts.listed.length, 10);
  assert.deepEqual(parts.listed[6], {
    number: 206,
    durationS: 0.2,
    independent: false,
    startMs: Date.UTC(2026, 10, 22, 4, 18, 14, 840),
  });
  assert.deepEqual(
    parts.listed.filter(({ independent }) => independent).map(({ number }) => number),
    [200, 205],
  );
  assert.equal(nextSegment, 1_795_321_094);
  assert.equal(newestMs, Date.UTC(2026, 10, 22, 4, 18, 15, 640));
  assert.equal(isEnded, false);
});

test('a name grows by a digit after two days of one run', () => {
  const grown = readPartsPlaylist(`${HEAD}\n${parts(999_996)}\n`, AT)?.parts;
  assert.ok(grown);
  assert.equal(grown.next, 1_000_001);
  for (const number of [999_999, 1_000_000]) {
    assert.equal(grown.url(number), `https://h/location_1/cam/part_${RUN}_${number}.m4s`);
  }
  assert.equal(grown.url(7), `https://h/location_1/cam/part_${RUN}_000007.m4s`);
});

test('without a hint the next part is the one behind the last', () => {
  const text = PLAYLIST.replace(/#EXT-X-PRELOAD-HINT.*\n/, '');
  assert.equal(readPartsPlaylist(text, AT)?.parts?.next, 210);
  assert.equal(readPartsPlaylist(`${text}#EXT-X-ENDLIST\n`, AT)?.isEnded, true);
  // Of the open segment, too.
  const open = `${text}${part(210, ',INDEPENDENT=YES')}\n${part(211)}\n`;
  const read = readPartsPlaylist(open, AT);
  assert.equal(read?.parts?.next, 212);
  assert.equal(read?.parts?.listed.at(-1)?.startMs, Date.UTC(2026, 10, 22, 4, 18, 15, 840));
});

test('only the newest run counts', () => {
  const run = '1a2018d973a11b4eb7b';
  const text = PLAYLIST.replace(
    /#EXT-X-PRELOAD-HINT.*\n/,
    `#EXT-X-DISCONTINUITY\n#EXT-X-MAP:URI="init_${run}.mp4"\n${parts(0, run)}\n#EXTINF:1,\nsegment_${run}_000000.m4s\n`,
  );
  const read = readPartsPlaylist(text, AT)?.parts;
  assert.deepEqual([read?.next, read?.listed.length], [5, 5]);
  assert.equal(read?.initUrl, `https://h/location_1/cam/init_${run}.mp4`);
  assert.notEqual(read?.run, readPartsPlaylist(PLAYLIST, AT)?.parts?.run);
  // Its parts were lost, and only the hint tells of it.
  const lost = text.replace(new RegExp(`#EXT-X-PART:.*${run}.*\n`, 'g'), '');
  const hint = `${lost}#EXT-X-PRELOAD-HINT:TYPE=PART,URI="part_${run}_000005.m4s"\n`;
  assert.deepEqual(
    [readPartsPlaylist(hint, AT)?.parts?.next, readPartsPlaylist(hint, AT)?.parts?.listed.length],
    [5, 0],
  );
});

test('what opens the folder opens its parts; a signature of one object opens no other', () => {
  const query = '?expires=9&signature=ab';
  const signed = PLAYLIST.replace(/(m4s|mp4)/g, `$1${query}`);
  const url = readPartsPlaylist(signed, AT)?.parts?.url(211);
  assert.equal(url, `https://h/location_1/cam/part_${RUN}_000211.m4s${query}`);
  const sealed = PLAYLIST.replace(/(m4s|mp4)/g, '$1?X-Amz-Expires=9&X-Amz-Signature=ab');
  assert.equal(readPartsPlaylist(sealed, AT)?.parts, null);
});

test('a part that is lost, or is a piece of an object, is none to go on from', () => {
  const gap = PLAYLIST.replace(part(207), part(207, ',GAP=YES'));
  const numbers = readPartsPlaylist(gap, AT)?.parts?.listed.map(({ number }) => number);
  assert.deepEqual(numbers, [200, 201, 202, 203, 204, 205, 206, 208, 209]);
  // The ones behind it keep their times.
  const times = (text: string) => readPartsPlaylist(text, AT)?.parts?.listed.at(-1)?.startMs;
  assert.equal(times(gap), times(PLAYLIST));
  const pieces = PLAYLIST.replace(/(#EXT-X-PART:.*)/g, '$1,BYTERANGE="100@0"').replace(
    /#EXT-X-PRELOAD.*\n/,
    '',
  );
  assert.equal(readPartsPlaylist(pieces, AT)?.parts, null);
});

test('an ordinary playlist, half of one and no playlist at all', () => {
  const ordinary = PLAYLIST.replace(/#EXT-X-PART.*\n|#EXT-X-PRELOAD.*\n/g, '');
  for (const text of ['', '<html>', ordinary, '#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\nstream.m3u8\n'])
    assert.equal(readPartsPlaylist(text, AT), null, text);
  assert.equal(readPartsPlaylist(`${HEAD}\n`, AT)?.parts, null);
  const bad = PLAYLIST.replace('PART-TARGET=0.200000', 'PART-TARGET=x');
  assert.equal(readPartsPlaylist(bad, AT), null);
});

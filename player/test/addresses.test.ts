import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pastCdn, placeOf, sheetUrl, snapshotUrl } from '../src/addresses.ts';

const SUPABASE = 'https://abc.supabase.co/storage/v1/object/public/streams/l/c/';

test("the playlist gets past Supabase's CDN, other stores' stay as they are", () => {
  assert.equal(pastCdn(`${SUPABASE}stream.m3u8`, 7), `${SUPABASE}stream.m3u8?t=7`);
  assert.equal(pastCdn(`${SUPABASE}stream.m3u8?t=7`, 8), `${SUPABASE}stream.m3u8?t=8`);
  assert.equal(pastCdn(`${SUPABASE}stream.m3u8?a=b&t=7`, 8), `${SUPABASE}stream.m3u8?a=b&t=8`);
  assert.equal(pastCdn(`${SUPABASE}stream.m3u8?t=7&a=b`, 8), `${SUPABASE}stream.m3u8?a=b&t=8`);
  assert.equal(pastCdn(`${SUPABASE}status.json`, 7), `${SUPABASE}status.json?t=7`);
  assert.equal(pastCdn(`${SUPABASE}snapshot.jpg`, 7), `${SUPABASE}snapshot.jpg?t=7`);
  for (const url of [
    `${SUPABASE}segment_1.ts`,
    'https://bucket.s3.amazonaws.com/l/c/stream.m3u8?X-Amz-Signature=0',
    'https://abc.supabase.co/storage/v1/object/sign/streams/stream.m3u8?token=0',
    'https://notsupabase.co/object/public/stream.m3u8',
  ]) {
    assert.equal(pastCdn(url, 7), url);
  }
});

test('a page may ask for it, or for none; what is signed is never touched', () => {
  const own = 'https://video.example.com/l/c/stream.m3u8';
  assert.equal(pastCdn(own, 7, 'on'), `${own}?t=7`);
  assert.equal(pastCdn(`${SUPABASE}stream.m3u8`, 7, 'off'), `${SUPABASE}stream.m3u8`);
  for (const signed of [
    `${own}?X-Amz-Algorithm=A&X-Amz-Signature=0%2F1`,
    `${own}?X-Goog-Signature=0`,
    `${own}?expires=1&signature=a`,
    `${own}?token=a%20b`,
    `${own}?sv=1&sig=a%2Bb`,
  ]) {
    assert.equal(pastCdn(signed, 7, 'on'), signed);
  }
});

test('what lies beside a playlist has the query that opens the folder, and no other', () => {
  const at = 'https://h/location_1/cam_floor/';
  assert.equal(sheetUrl(`${at}stream.m3u8`), `${at}status.json`);
  assert.equal(sheetUrl(`${at}stream.m3u8?X-Amz-Signature=0`), `${at}status.json`);
  assert.equal(sheetUrl(`${at}multivariant.m3u8`), `${at}status.json`);
  assert.equal(sheetUrl(`${at}stream_2.m3u8`), `${at}status.json`);
  assert.equal(
    snapshotUrl(`${at}stream.m3u8?expires=9&signature=ab`),
    `${at}snapshot.jpg?expires=9&signature=ab`,
  );
  assert.equal(snapshotUrl(`${at}stream.m3u8?signature=ab`), `${at}snapshot.jpg`);
  assert.equal(sheetUrl('https://h/other/index.m3u8'), null);
});

test('what is signed anew is the same place, another query is another', () => {
  const [place, other] = ['https://a/c/stream.m3u8?cam=1', 'https://a/c/stream.m3u8?cam=2'].map(placeOf);
  assert.equal(placeOf('https://a/c/stream.m3u8?cam=1&expires=1&signature=2'), place);
  assert.equal(placeOf('https://a/c/stream.m3u8?X-Amz-Signature=1&cam=1&X-Amz-Date=3#x'), place);
  assert.notEqual(place, other);
  const [plain, signed] = ['https://a/?name=Front%20Door', 'https://a/?name=Front%20Door&signature=1'];
  assert.equal(placeOf(signed), placeOf(plain));
});

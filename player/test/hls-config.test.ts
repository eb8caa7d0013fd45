import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clockSkewMs } from '../src/clock.ts';
import { hlsConfig, pastCdn } from '../src/hls-config.ts';

const config = hlsConfig('worker.js', () => 0);

function retries(
  policy: 'manifestLoadPolicy' | 'playlistLoadPolicy' | 'fragLoadPolicy',
  status: number,
  n: number,
) {
  const retry = config[policy]?.default.errorRetry;
  assert.ok(retry?.shouldRetry);
  return retry.shouldRetry(retry, n, false, { url: '', code: status }, false);
}

test('a playlist that is not there yet is asked for again, for ever', () => {
  for (const status of [400, 403, 404, 500, 0]) {
    assert.ok(retries('manifestLoadPolicy', status, 10_000), `manifest ${status}`);
    assert.ok(retries('playlistLoadPolicy', status, 10_000), `playlist ${status}`);
  }
});

test('a missing segment is asked for again, then given up', () => {
  assert.ok(retries('fragLoadPolicy', 400, 0));
  assert.ok(retries('fragLoadPolicy', 404, 4));
  assert.ok(!retries('fragLoadPolicy', 404, 5));
});

test("the playlist gets past Supabase's CDN, presigned and other URLs stay as they are", () => {
  const at = 'https://abc.supabase.co/storage/v1/object/public/streams/l/c/';
  assert.equal(pastCdn(`${at}stream.m3u8`, 7), `${at}stream.m3u8?t=7`);
  assert.equal(pastCdn(`${at}stream.m3u8?t=7`, 8), `${at}stream.m3u8?t=8`);
  for (const url of [
    `${at}segment_1.ts`,
    'https://bucket.s3.amazonaws.com/l/c/stream.m3u8?X-Amz-Signature=0',
    'https://abc.supabase.co/storage/v1/object/sign/streams/stream.m3u8?token=0',
    'https://notsupabase.co/object/public/stream.m3u8',
  ]) {
    assert.equal(pastCdn(url, 7), url);
  }
});

test("the server's clock corrects the viewer's, if they differ by more than a Date can tell", () => {
  const at = Date.parse('Tue, 01 Sep 2026 12:00:00 GMT');
  const headers = 'content-type: text/plain\r\ndate: Tue, 01 Sep 2026 12:00:00 GMT\r\n';
  assert.equal(clockSkewMs(headers, at + 500), 0);
  assert.equal(clockSkewMs(headers, at + 2500), 0);
  assert.equal(clockSkewMs(headers, at - 59_500), 60_000);
  assert.equal(clockSkewMs(`${headers}age: 31\r\n`, at - 60_000), 0);
  assert.equal(clockSkewMs('date: yesterday', at), 0);
  assert.equal(clockSkewMs('', at), 0);
});

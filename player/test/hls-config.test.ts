import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clockSkewMs } from '../src/clock.ts';
import { hlsConfig } from '../src/hls-config.ts';

const same = (url: string) => url;
const config = hlsConfig('worker.js', same, () => undefined);

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
  assert.ok(retries('fragLoadPolicy', 404, 2));
  assert.ok(!retries('fragLoadPolicy', 404, 3));
  // A store in trouble is another matter.
  assert.ok(retries('fragLoadPolicy', 503, 4));
  assert.ok(!retries('fragLoadPolicy', 503, 5));
});

test('each request is counted, and another address is asked for where it has to be', () => {
  const [sent, opened]: [unknown[], string[]] = [[], []];
  const xhr = { open: (_method: string, url: string) => opened.push(url) } as unknown as XMLHttpRequest;
  const setup = hlsConfig(
    null,
    (url) => url.replace('.m3u8', '.m3u8?t=1'),
    (request) => sent.push(request),
  ).xhrSetup as (xhr: XMLHttpRequest, url: string) => void;
  setup(xhr, 'https://h/stream.m3u8');
  setup(xhr, 'https://h/segment_1.ts');
  assert.deepEqual([sent.length, opened], [2, ['https://h/stream.m3u8?t=1']]);
});

test('hls.js leaves the live edge to the controller', () => {
  assert.deepEqual(
    [config.lowLatencyMode, config.maxLiveSyncPlaybackRate, config.liveMaxLatencyDurationCount],
    [false, 1, undefined],
  );
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

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hlsConfig } from '../src/hls-config.ts';
import { fetchSettings, parseSheet, sheetUrl } from '../src/sheet.ts';

const player = {
  live_sync_duration_count: 3,
  live_max_latency_duration_count: 6,
  max_live_sync_playback_rate: 1.02,
  low_latency: false,
};
const sheet = { version: 1, camera: 'cam_floor', profile: 'stable', target_duration_s: 6, player };
const settings = {
  liveSyncDurationCount: 3,
  liveMaxLatencyDurationCount: 6,
  maxLiveSyncPlaybackRate: 1.02,
};

test('a sheet gives the settings of hls.js', () => {
  assert.deepEqual(parseSheet(sheet), settings);
  assert.deepEqual(parseSheet({ ...sheet, more: 'of a later agent' }), settings);
});

test('what makes no sense is left alone', () => {
  for (const bad of [null, 1, 'x', [], {}, { ...sheet, version: 2 }, { ...sheet, player: null }]) {
    assert.equal(parseSheet(bad), null, JSON.stringify(bad));
  }
  for (const wrong of [
    { live_sync_duration_count: 0 },
    { live_sync_duration_count: '3' },
    { live_sync_duration_count: Number.NaN },
    { live_max_latency_duration_count: 4 },
    { live_max_latency_duration_count: undefined },
    { max_live_sync_playback_rate: 16 },
  ]) {
    assert.equal(parseSheet({ ...sheet, player: { ...player, ...wrong } }), null, JSON.stringify(wrong));
  }
});

test('it lies beside the playlist', () => {
  const at = 'https://h/location_1/cam_floor/';
  assert.equal(sheetUrl(`${at}stream.m3u8`, 7), `${at}status.json`);
  assert.equal(sheetUrl(`${at}stream.m3u8?X-Amz-Signature=0`, 7), `${at}status.json`);
  assert.equal(sheetUrl(`${at}multivariant.m3u8`, 7), `${at}status.json`);
  assert.equal(sheetUrl(`${at}stream_2.m3u8`, 7), `${at}status.json`);
  assert.equal(sheetUrl('https://h/other/index.m3u8', 7), null);
  const supabase = 'https://abc.supabase.co/storage/v1/object/public/streams/l/c/';
  assert.equal(sheetUrl(`${supabase}stream.m3u8`, 7), `${supabase}status.json?t=7`);
});

test('a balanced stream is played as one that nobody tells of', () => {
  const { liveSyncDurationCount, liveMaxLatencyDurationCount, maxLiveSyncPlaybackRate } = hlsConfig(
    '',
    () => 0,
  );
  // As the agent has it (src/domain/profile.rs).
  assert.deepEqual(
    [liveSyncDurationCount, liveMaxLatencyDurationCount, maxLiveSyncPlaybackRate],
    [2, 8, 1.04],
  );
});

test('without an answer nothing changes', async (t) => {
  const url = 'https://h/l/c/stream.m3u8';
  const answers = [
    () => Promise.resolve(Response.json(sheet)),
    () => Promise.resolve(new Response('<html>', { status: 200 })),
    () => Promise.resolve(Response.json(sheet, { status: 404 })),
    () => Promise.reject(new TypeError('network')),
  ];
  const asked: string[] = [];
  t.mock.method(globalThis, 'fetch', (address: string) => {
    asked.push(address);
    return answers[asked.length - 1]?.();
  });
  assert.deepEqual(await fetchSettings(url), settings);
  assert.equal(await fetchSettings(url), null);
  assert.equal(await fetchSettings(url), null);
  assert.equal(await fetchSettings(url), null);
  assert.equal(await fetchSettings('https://h/x.m3u8'), null);
  assert.deepEqual(asked, Array(4).fill('https://h/l/c/status.json'));
});

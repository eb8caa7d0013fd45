import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hlsConfig } from '../src/hls-config.ts';
import { USUAL_PACE } from '../src/live-edge.ts';
import { fetchSheet, parseSheet } from '../src/sheet.ts';

const player = {
  live_sync_duration_count: 3,
  live_max_latency_duration_count: 6,
  max_live_sync_playback_rate: 1.02,
  low_latency: false,
};
const sheet = {
  version: 1,
  camera: 'cam_floor',
  profile: 'stable',
  target_duration_s: 6,
  segment_duration_ms: 6000,
  player,
};
const parsed = {
  syncSegments: 3,
  pace: { segmentS: 6, reserveS: 6, audibleRate: 1.02 },
  cacheBusting: false,
  parts: false,
  wholeSegments: true,
  phase: null,
  reason: null,
  lastSegmentMs: null,
};

test('a sheet gives the settings of the player', () => {
  assert.deepEqual(parseSheet(sheet), parsed);
  assert.deepEqual(parseSheet({ ...sheet, more: 'of a later agent' }), parsed);
});

test('an agent that says more is understood', () => {
  const told = parseSheet({
    ...sheet,
    phase: 'retrying',
    reason: 'the camera refused user or password (401)',
    last_segment_at: '2026-09-01T12:00:00.5Z',
    player: { ...player, cache_busting: true },
  });
  assert.deepEqual(told, {
    ...parsed,
    cacheBusting: true,
    phase: 'retrying',
    reason: 'the camera refused user or password (401)',
    lastSegmentMs: Date.UTC(2026, 8, 1, 12, 0, 0, 500),
  });
  assert.equal(parseSheet({ ...sheet, last_segment_at: 'soon' })?.lastSegmentMs, null);
});

test('of a stream in parts it says so, and whether there is anything else', () => {
  const told = (parts: unknown) => {
    const { parts: has, wholeSegments } = parseSheet({ ...sheet, parts }) ?? {};
    return [has, wholeSegments];
  };
  assert.deepEqual(told({ duration_ms: 200, whole_segments: true }), [true, true]);
  assert.deepEqual(told({ duration_ms: 200, whole_segments: false }), [true, false]);
  assert.deepEqual([undefined, null, true].map(told), Array(3).fill([false, true]));
});

test('what makes no sense is left alone', () => {
  for (const bad of [null, 1, 'x', [], {}, { ...sheet, version: 2 }, { ...sheet, player: null }]) {
    assert.equal(parseSheet(bad), null, JSON.stringify(bad));
  }
  for (const wrong of [
    { live_sync_duration_count: 0 },
    { live_sync_duration_count: '3' },
    { live_sync_duration_count: Number.NaN },
    { max_live_sync_playback_rate: 16 },
  ]) {
    assert.equal(parseSheet({ ...sheet, player: { ...player, ...wrong } }), null, JSON.stringify(wrong));
  }
});

test('a balanced stream is played as one that nobody tells of', () => {
  // As the agent has it (src/domain/profile.rs).
  const balanced = { live_sync_duration_count: 2, max_live_sync_playback_rate: 1.04 };
  const told = parseSheet({ ...sheet, target_duration_s: 2, segment_duration_ms: 2000, player: balanced });
  assert.deepEqual(told?.pace, USUAL_PACE);
  const config = hlsConfig(
    null,
    (url) => url,
    () => undefined,
  );
  assert.equal(told.syncSegments, config.liveSyncDurationCount);
});

test('that there is none is told from one that could not be had', async (t) => {
  const url = 'https://h/l/c/status.json';
  const answers = [
    () => Promise.resolve(Response.json(sheet)),
    () => Promise.resolve(new Response('<html>', { status: 200 })),
    ...[404, 400, 403].map((status) => () => Promise.resolve(Response.json(sheet, { status }))),
    ...[500, 503, 429].map((status) => () => Promise.resolve(Response.json(sheet, { status }))),
    () => Promise.reject(new TypeError('network')),
  ];
  const count = answers.length;
  const asked: string[] = [];
  t.mock.method(globalThis, 'fetch', (address: string) => {
    asked.push(address);
    return answers[asked.length - 1]?.();
  });
  assert.deepEqual(await fetchSheet(url), { is: 'there', sheet: parsed });
  for (let at = 0; at < 4; at += 1) assert.deepEqual(await fetchSheet(url), { is: 'none' });
  for (let at = 0; at < 4; at += 1) assert.deepEqual(await fetchSheet(url), { is: 'failed' });
  assert.deepEqual(await fetchSheet(null), { is: 'none' });
  assert.deepEqual(asked, Array(count).fill(url));
});

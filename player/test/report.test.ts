import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseThresholds, Quality, USUAL_THRESHOLDS } from '../src/report.ts';

const COUNTS = { src: 'https://h/stream.m3u8', state: 'live', stalls: 0, requests: 100, failedRequests: 0 };
const LIMITS = USUAL_THRESHOLDS;

/** Looks twice a second; `moving` at second `s`. */
function watched(seconds: number, moving: (s: number) => boolean, excused = () => false as boolean): Quality {
  const quality = new Quality(1000);
  for (let s = 0.5; s <= seconds; s += 0.5) {
    quality.look(1000 + s * 1000, { moving: moving(s), excused: excused(), latency: s / 10 });
  }
  return quality;
}

test('a good stream has no alert', () => {
  const report = watched(60, (s) => s >= 2).report(61_000, LIMITS, COUNTS);
  assert.equal(report.firstPicture, 2);
  assert.deepEqual([report.watched, report.stallRatio, report.errorRatio, report.alerts], [58, 0, 0, []]);
  assert.ok(report.latency && report.latency.p95 > report.latency.median);
});

test('a late first picture is told, also while there is none', () => {
  assert.deepEqual(watched(20, (s) => s >= 6).report(21_000, LIMITS, COUNTS).alerts, ['start']);
  const none = watched(6, () => false).report(7000, LIMITS, COUNTS);
  assert.deepEqual([none.firstPicture, none.alerts], [null, ['start']]);
  assert.deepEqual(watched(4, () => false).report(5000, LIMITS, COUNTS).alerts, []);
});

test('waiting counts against the time since the first picture', () => {
  const report = watched(41, (s) => s < 31).report(42_000, LIMITS, COUNTS);
  assert.ok(Math.abs(report.stallRatio - 10.5 / 40.5) < 0.01, `${report.stallRatio}`);
  assert.deepEqual(report.alerts, ['buffering']);
  assert.deepEqual(
    watched(41, (s) => s < 31).report(42_000, { ...LIMITS, buffering: 0.5 }, COUNTS).alerts,
    [],
  );
});

test('what was long ago is no alert', () => {
  const late = watched(200, (s) => s >= 6);
  assert.deepEqual(late.report(60_000, LIMITS, COUNTS).alerts, ['start']);
  assert.deepEqual(late.report(201_000, LIMITS, COUNTS).alerts, []);
  assert.equal(late.report(201_000, LIMITS, COUNTS).firstPicture, 6);
  const hours = watched(7200, (s) => s < 7000 || s > 7100);
  assert.deepEqual(
    hours.report(7_201_000, LIMITS, COUNTS).alerts,
    ['buffering'],
    'after hours without a stall',
  );
  const before = watched(7200, (s) => s < 100 || s > 1000);
  assert.deepEqual(before.report(7_201_000, LIMITS, COUNTS).alerts, []);
  assert.equal(before.report(7_201_000, LIMITS, COUNTS).stallRatio, 0);
});

test('a machine that slept has not watched', () => {
  const quality = watched(60, () => true);
  quality.look(9 * 3_600_000, { moving: false, excused: false, latency: null });
  assert.ok(quality.report(9 * 3_600_000, LIMITS, COUNTS).watched < 63);
});

test('a pause is no stall', () => {
  let paused = false;
  const quality = watched(
    40,
    (s) => {
      paused = s > 20;
      return !paused;
    },
    () => paused,
  );
  assert.equal(quality.report(41_000, LIMITS, COUNTS).stallRatio, 0);
});

test('errors need some requests to mean something', () => {
  const quality = watched(5, () => true);
  const alerts = (requests: number, failedRequests: number) =>
    quality.report(6000, LIMITS, { ...COUNTS, requests, failedRequests }).alerts;
  assert.deepEqual(alerts(10, 5), []);
  assert.deepEqual(alerts(100, 5), []);
  assert.deepEqual(alerts(100, 6), ['errors']);
});

test('thresholds are text in an attribute', () => {
  assert.deepEqual(parseThresholds(null), { start: 5, buffering: 0.1, errors: 0.05 });
  assert.deepEqual(parseThresholds('start=2.5 errors=0.2'), { start: 2.5, buffering: 0.1, errors: 0.2 });
  assert.deepEqual(parseThresholds('start=soon; x=1'), USUAL_THRESHOLDS);
});

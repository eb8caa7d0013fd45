import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseThresholds, Quality, USUAL_THRESHOLDS } from '../src/report.ts';

const COUNTS = { src: 'https://h/stream.m3u8', state: 'live', stalls: 0 };
const NONE = { requests: 0, failedRequests: 0, waitedMs: 0 };
const LIMITS = USUAL_THRESHOLDS;

/** Looks twice a second; `moving` at second `s`. */
function watched(seconds: number, moving: (s: number) => boolean, excused = () => false as boolean): Quality {
  const quality = new Quality(1000);
  for (let s = 0.5; s <= seconds; s += 0.5) {
    quality.look(1000 + s * 1000, { moving: moving(s), excused: excused(), latency: s / 10, ...NONE });
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

test('short stalls count, also those between two looks', () => {
  const quality = new Quality(0);
  const look = (atMs: number, moving: boolean, waitedMs: number) =>
    quality.look(atMs, { ...NONE, moving, excused: false, latency: null, waitedMs });
  // What was waited for before the first picture is no stall.
  look(1000, true, 900);
  let waitedMs = 900;
  for (let at = 1500; at <= 61_000; at += 500) {
    if (at % 2000 === 0) waitedMs += 300;
    look(at, true, waitedMs);
  }
  const { stallRatio, alerts } = quality.report(61_000, LIMITS, COUNTS);
  assert.ok(Math.abs(stallRatio - 0.15) < 0.001, `${stallRatio}`);
  assert.deepEqual(alerts, ['buffering']);
  // A picture that stands for long is counted once, and no more than the time that passed.
  look(61_500, false, waitedMs + 500);
  look(62_000, true, waitedMs + 9000);
  assert.ok(Math.abs(quality.report(62_000, LIMITS, COUNTS).stallRatio - 10 / 61) < 0.001);
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
  quality.look(9 * 3_600_000, { moving: false, excused: false, latency: null, ...NONE });
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

/** Requests of a second each, `failing` of which fail; the counts go on over all engines. */
function asked(seconds: number, failing: (s: number) => boolean, perSecond = 2): Quality {
  const quality = new Quality(0);
  let [requests, failedRequests] = [0, 0];
  for (let s = 1; s <= seconds; s += 1) {
    requests += perSecond;
    if (failing(s)) failedRequests += perSecond;
    quality.look(s * 1000, {
      ...NONE,
      moving: true,
      excused: false,
      latency: null,
      requests,
      failedRequests,
    });
  }
  return quality;
}

test('errors need some requests to mean something', () => {
  const alerts = (failing: (s: number) => boolean, seconds: number) =>
    asked(seconds, failing).report(1000 * seconds, LIMITS, COUNTS).alerts;
  assert.deepEqual(
    alerts((s) => s > 4, 9),
    [],
  );
  assert.deepEqual(
    alerts((s) => s % 20 === 0, 100),
    [],
  );
  assert.deepEqual(
    alerts((s) => s % 10 === 0, 100),
    ['errors'],
  );
});

test('requests are judged over the last five minutes, and counted since the stream was chosen', () => {
  const report = (seconds: number, failing: (s: number) => boolean) =>
    asked(seconds, failing).report(1000 * seconds, LIMITS, COUNTS);
  // A bad minute after a good day is told, and one of an hour ago is not.
  const late = report(86_400, (s) => s > 86_340);
  assert.ok(Math.abs(late.errorRatio - 0.2) < 0.01, `${late.errorRatio}`);
  assert.deepEqual(late.alerts, ['errors']);
  const early = report(7200, (s) => s > 60 && s <= 3600);
  assert.deepEqual([early.errorRatio, early.alerts], [0, []]);
  assert.deepEqual([early.requests, early.failedRequests], [14_400, 7080]);
  // Also while nobody watches, or there is no picture yet.
  const quality = new Quality(0);
  for (let s = 1; s <= 30; s += 1) {
    const counts = { requests: s, failedRequests: s, waitedMs: 0 };
    quality.look(s * 1000, { moving: false, excused: true, latency: null, ...counts });
  }
  assert.deepEqual(quality.report(30_000, LIMITS, COUNTS).alerts, ['errors']);
});

test('nobody waits for the first picture of a page that is hidden, or paused', () => {
  const quality = new Quality(0);
  const look = (atMs: number, excused: boolean, moving = false) =>
    quality.look(atMs, { moving, excused, latency: null, ...NONE });
  look(0, true);
  // The browser looks seldom there.
  for (const at of [60_000, 120_000, 180_000]) look(at, true);
  assert.deepEqual(quality.report(180_000, LIMITS, COUNTS).alerts, []);
  // It is shown some time after a look.
  look(230_000, false);
  look(230_500, false);
  look(231_000, false, true);
  const report = quality.report(231_000, LIMITS, COUNTS);
  assert.deepEqual([report.firstPicture, report.alerts], [1, []]);
});

test('a late first picture is told for a minute after it came, whatever was before', () => {
  const quality = new Quality(0);
  for (let at = 0; at <= 600_000; at += 500) {
    quality.look(at, { moving: at >= 590_000, excused: at < 580_000, latency: null, ...NONE });
  }
  const report = quality.report(600_000, LIMITS, COUNTS);
  assert.deepEqual([report.firstPicture, report.alerts], [10, ['start']]);
  assert.deepEqual(quality.report(651_000, LIMITS, COUNTS).alerts, []);
});

test('thresholds are text in an attribute', () => {
  assert.deepEqual(parseThresholds(null), { start: 5, buffering: 0.1, errors: 0.05 });
  assert.deepEqual(parseThresholds('start=2.5 errors=0.2'), { start: 2.5, buffering: 0.1, errors: 0.2 });
  assert.deepEqual(parseThresholds('start=soon; x=1'), USUAL_THRESHOLDS);
});

test('a machine that slept before the first picture has not waited', () => {
  const quality = new Quality(0);
  quality.look(500, { moving: false, excused: false, latency: null, ...NONE });
  quality.look(3_600_000, { moving: false, excused: false, latency: null, ...NONE });
  quality.look(3_600_500, { moving: true, excused: false, latency: null, ...NONE });
  assert.equal(quality.report(3_600_500, LIMITS, COUNTS).firstPicture, 3);
});

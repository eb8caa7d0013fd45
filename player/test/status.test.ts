import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Engine } from '../src/engine.ts';
import {
  agoText,
  clockTime,
  duration,
  latenciesOf,
  type Observation,
  secondsBehind,
  shownLatency,
  statusOf,
} from '../src/status.ts';

const NOW = new Date(2026, 8, 1, 14, 40).getTime();
const playing: Observation = {
  nowMs: NOW,
  everPlayed: true,
  paused: false,
  ended: false,
  cantPlay: null,
  idleFor: 0,
  behind: 0,
  byParts: false,
  silentFor: 1,
  segmentS: 2,
  newestMs: NOW - 3000,
  isListed: true,
};

test('before the first frame the page waits, whatever else is known', () => {
  const seen = { ...playing, everPlayed: false, paused: true, idleFor: Number.POSITIVE_INFINITY };
  assert.deepEqual(statusOf(seen), { kind: 'waiting', label: 'waiting for the stream' });
});

test('a moving picture near the edge is live', () => {
  assert.equal(statusOf(playing).kind, 'live');
  assert.equal(statusOf({ ...playing, behind: 2.9, idleFor: 1 }).kind, 'live');
  assert.equal(statusOf({ ...playing, behind: null }).kind, 'live');
});

test('a picture far from the edge says by how much', () => {
  assert.deepEqual(statusOf({ ...playing, behind: 7.6 }), { kind: 'behind', label: 'behind by 8 s' });
  assert.equal(statusOf({ ...playing, behind: 1.4, byParts: true }).label, 'behind by 1 s');
  assert.equal(statusOf({ ...playing, behind: 0.9, byParts: true }).kind, 'live');
  assert.equal(statusOf({ ...playing, behind: 600 }).label, 'behind by 10 min');
});

test('a still picture is being reconnected, unless the viewer paused it or it ended', () => {
  assert.equal(statusOf({ ...playing, idleFor: 2, behind: 50 }).kind, 'reconnecting');
  assert.equal(statusOf({ ...playing, idleFor: 60, paused: true }).kind, 'paused');
  assert.equal(statusOf({ ...playing, idleFor: 60, ended: true }).kind, 'ended');
});

test('a camera that is silent for long is offline since its newest picture', () => {
  const since = new Date(2026, 8, 1, 14, 32).getTime();
  const silent = { ...playing, idleFor: 30, silentFor: 30, newestMs: since };
  assert.deepEqual(statusOf(silent), { kind: 'offline', label: 'offline since 14:32' });
  assert.equal(statusOf({ ...silent, everPlayed: false }).kind, 'offline');
  assert.equal(statusOf({ ...silent, ended: true }).kind, 'ended');
  // Just now: it may be a hiccup.
  assert.equal(statusOf({ ...silent, silentFor: 12, newestMs: NOW - 12_000 }).kind, 'reconnecting');
  // A page that is opened on yesterday's playlist need not wait for long.
  assert.equal(statusOf({ ...silent, silentFor: 5, newestMs: NOW - 86_400_000 }).kind, 'offline');
  // Of what the agent alone tells it may be that somebody starts it just now.
  const told = { ...silent, isListed: false, newestMs: NOW - 86_400_000, everPlayed: false };
  assert.equal(statusOf({ ...told, silentFor: 15 }).kind, 'waiting');
  assert.equal(statusOf({ ...told, silentFor: 25 }).kind, 'offline');
  // Of longer segments it is heard more rarely.
  assert.equal(
    statusOf({ ...silent, segmentS: 6, silentFor: 25, newestMs: NOW - 25_000 }).kind,
    'reconnecting',
  );
});

test('what this browser has no decoder for is told in plain words, by the name of the codec', () => {
  const refused = { ...playing, everPlayed: false, idleFor: Number.POSITIVE_INFINITY };
  const told = (cantPlay: string) => statusOf({ ...refused, cantPlay });
  assert.deepEqual(told('hvc1.1.6.L93.B0'), {
    kind: 'unplayable',
    label: "this browser can't play this video (H.265)",
  });
  assert.equal(told('').label, "this browser can't play this video");
  // Nothing is asked for any more: that is no silence of the camera's.
  assert.equal(statusOf({ ...refused, cantPlay: 'av01', silentFor: 60 }).kind, 'unplayable');
});

test('a wrong clock alone takes no camera offline', () => {
  for (const newestMs of [NOW - 86_400_000, NOW + 3_600_000, null]) {
    assert.equal(statusOf({ ...playing, newestMs }).kind, 'live');
  }
});

test('since when: the time, with the day if it was another', () => {
  const at = (...date: [number, number, number, number, number]) => new Date(...date).getTime();
  assert.equal(clockTime(at(2026, 8, 1, 9, 5), NOW), '09:05');
  assert.equal(clockTime(at(2026, 7, 31, 23, 59), NOW), '31 Aug, 23:59');
  assert.equal(clockTime(at(2025, 8, 1, 9, 5), NOW), '01 Sep 2025, 09:05');
});

test('the distance is counted from where playback should be', () => {
  assert.equal(secondsBehind({ fromEdge: 4.5, target: 4, fromLens: 5 }), 0.5);
  assert.equal(secondsBehind({ fromEdge: 3, target: 4, fromLens: null }), 0);
  assert.equal(secondsBehind({ fromEdge: null, target: 4, fromLens: 5 }), null);
});

test('an old playlist is no live stream, though its edge is near', () => {
  assert.equal(secondsBehind({ fromEdge: 4, target: 4, fromLens: 3604 }), 3600);
});

test('the delay is the one from the lens unless that is impossible', () => {
  assert.equal(shownLatency({ fromEdge: 4, target: 4, fromLens: 5.2 }), 5.2);
  assert.equal(shownLatency({ fromEdge: 4, target: 4, fromLens: -3 }), 4);
  assert.equal(shownLatency({ fromEdge: null, target: null, fromLens: null }), null);
});

test('durations read naturally', () => {
  assert.deepEqual([8.4, 89, 120, 7200, 259_200].map(duration), ['8 s', '89 s', '2 min', '2 h', '3 days']);
});

test('a still picture says how old it is', () => {
  assert.deepEqual([-3000, 0, 12_000, 180_000, 7_300_000, 200_000_000].map(agoText), [
    'just now',
    'just now',
    '12 s ago',
    '3 min ago',
    '2 h ago',
    '2 days ago',
  ]);
});

test('what is known and not fetched yet is part of the distance', () => {
  const seen = { nowMs: 5000, wallMs: 0, currentTime: 9 };
  const engine = { isLed: true, edge: 10, newsAtMs: 5000, pictureTimeMs: null, skewMs: 0 };
  const behind = (lagS?: number) => {
    const told = { ...engine, ...(lagS === undefined ? {} : { lagS }) } as unknown as Engine;
    return latenciesOf(told, seen, 0.2, 0.1).fromEdge;
  };
  assert.deepEqual([behind(), behind(0), behind(4)], [1, 1, 5]);
});

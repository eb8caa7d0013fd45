import assert from 'node:assert/strict';
import { test } from 'node:test';
import { duration, type Observation, secondsBehind, shownLatency, statusOf } from '../src/status.ts';

const playing: Observation = { everPlayed: true, paused: false, ended: false, idleFor: 0, behind: 0 };

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
  assert.equal(statusOf({ ...playing, behind: 600 }).label, 'behind by 10 min');
});

test('a still picture is being reconnected, unless the viewer paused it or it ended', () => {
  assert.equal(statusOf({ ...playing, idleFor: 2, behind: 50 }).kind, 'reconnecting');
  assert.equal(statusOf({ ...playing, idleFor: 60, paused: true }).kind, 'paused');
  assert.equal(statusOf({ ...playing, idleFor: 60, ended: true }).kind, 'ended');
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

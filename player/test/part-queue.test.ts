import assert from 'node:assert/strict';
import { test } from 'node:test';
import { PartClock } from '../src/part-clock.ts';
import { type Part, PartQueue } from '../src/part-queue.ts';

const PART_S = 0.2;
const PER_SEGMENT = 5;
const RTT_MS = 40;
const LOOK_MS = 10;

interface World {
  /** When a part is in the store, in ms behind its end; `null`: never. */
  lateMs?: (number: number) => number | null;
  /** How long parts are, and how long the place says that they are. */
  lengthS?: (number: number) => number;
  partS?: number;
  /** No request is answered while that holds. */
  cut?: (nowMs: number) => boolean;
  seconds: number;
}

interface Outcome {
  shown: number[];
  /** When each was shown. */
  atMs: Map<number, number>;
  requests: number[];
  queue: PartQueue;
  /** When it was silent first. */
  silentMs: number | null;
}

function makePart(number: number, lengthS = (_number: number) => PART_S): Part {
  const independent = number % PER_SEGMENT === 0;
  let startS = 0;
  for (let before = 0; before < number; before += 1) startS += lengthS(before);
  return { number, startS, endS: startS + lengthS(number), independent, bytes: new ArrayBuffer(1) };
}

/** A store, a network and a picture that has `AHEAD_S` to show. */
const AHEAD_S = 0.3;

function play(world: World): Outcome {
  const { lateMs = () => 60, cut = () => false, lengthS = () => PART_S, partS = PART_S, seconds } = world;
  const queue = new PartQueue({ head: 0, startS: 0, partS }, new PartClock(), 0);
  const outcome: Outcome = { shown: [], atMs: new Map(), requests: [], queue, silentMs: null };
  let answers: { atMs: number; sentMs: number; number: number; there: boolean }[] = [];
  let endMs = 0;
  for (let now = 0; now < seconds * 1000; now += LOOK_MS) {
    for (const { number, sentMs, there } of answers.filter(({ atMs }) => atMs <= now)) {
      if (cut(now)) queue.failed(number, now);
      else if (there) queue.came(makePart(number, lengthS), sentMs, now);
      else queue.missing(number, now);
    }
    answers = answers.filter(({ atMs }) => atMs > now);
    for (const { number } of queue.take(now, now >= endMs)) {
      outcome.shown.push(number);
      outcome.atMs.set(number, now);
      endMs = Math.max(endMs, now + AHEAD_S * 1000 - PART_S * 1000) + PART_S * 1000;
    }
    if (queue.isSilent(now)) outcome.silentMs ??= now;
    for (const number of queue.due(now).ask) {
      queue.asked(number, now);
      outcome.requests.push(number);
      const late = lateMs(number);
      const there = late !== null && now + RTT_MS / 2 >= makePart(number, lengthS).endS * 1000 + late;
      answers.push({ atMs: now + RTT_MS, sentMs: now, number, there });
    }
    assert.ok(answers.length <= 6, 'no more requests at a time than connections');
  }
  return outcome;
}

test('parts are shown in order, each soon after it is there, at little more than a request each', () => {
  const { shown, atMs, requests, queue } = play({ seconds: 60 });
  assert.deepEqual(
    shown,
    Array.from({ length: shown.length }, (_, at) => at),
  );
  assert.ok(shown.length >= 298, `${shown.length}`);
  const delays = shown.slice(20).map((number) => (atMs.get(number) ?? 0) - (number + 1) * PART_S * 1000 - 60);
  assert.ok(Math.max(...delays) < 120, `${Math.max(...delays)}`);
  assert.ok(requests.length / shown.length < 1.5, `${requests.length}`);
  assert.equal(queue.lost, 0);
});

test('a part that was long, or a camera that is slower at night, makes no later one late', () => {
  const late = ({ shown, atMs }: Outcome, lengthS: (number: number) => number, from: number) => {
    const delays = shown
      .slice(from)
      .map((at) => (atMs.get(at) ?? 0) - makePart(at, lengthS).endS * 1000 - 60);
    return Math.max(...delays);
  };
  // The playlist was read while it named a stammer of the camera.
  const stammer = (number: number) => (number % 50 === 3 ? 0.7 : PART_S);
  const joined = play({ seconds: 8, partS: 0.7 });
  assert.ok(late(joined, () => PART_S, 8) < 120, `${late(joined, () => PART_S, 8)}`);
  const stammers = play({ seconds: 60, partS: 0.7, lengthS: stammer });
  assert.ok(late(stammers, stammer, 20) < 120, `${late(stammers, stammer, 20)}`);
  const dawn = (number: number) => (number < 40 ? 0.5 : PART_S);
  const day = play({ seconds: 60, partS: 0.5, lengthS: dawn });
  assert.ok(late(day, dawn, 45) < 120, `${late(day, dawn, 45)}`);
  const dusk = play({ seconds: 60, lengthS: (number) => (number < 100 ? PART_S : 0.5) });
  assert.ok(dusk.requests.length / dusk.shown.length < 2, `${dusk.requests.length} for ${dusk.shown.length}`);
});

test('who begins with the short end of a segment does not ask for all others too early', () => {
  const lengthS = (number: number) => (number % 5 === 0 ? 0.04 : 0.24);
  const { requests, shown } = play({ seconds: 3, partS: 0.24, lengthS });
  assert.ok(requests.length - shown.length < 8, `${requests.length} for ${shown.length}`);
});

test('one that overtakes another waits for it', () => {
  const { shown, queue } = play({ seconds: 30, lateMs: (n) => (n % 10 === 3 ? 330 : 60) });
  assert.deepEqual(
    shown,
    Array.from({ length: shown.length }, (_, at) => at),
  );
  assert.equal(queue.lost, 0);
});

test('with jitter there is on average no more than one request in vain per part', () => {
  const { shown, requests } = play({ seconds: 120, lateMs: (n) => ((n * 7919) % 5 === 0 ? 180 : 60) });
  assert.ok(requests.length / shown.length <= 2, `${requests.length} for ${shown.length}`);
});

test('one that is lost is gone over at the next keyframe, in less than a segment and a half', () => {
  for (const missing of [50, 51, 52, 53, 54]) {
    const { shown, atMs, queue } = play({ seconds: 30, lateMs: (n) => (n === missing ? null : 60) });
    const next = 55;
    assert.ok(!shown.includes(missing));
    assert.equal(shown[shown.indexOf(missing - 1) + 1], next, `behind ${missing}`);
    const waited = (atMs.get(next) ?? 0) - (atMs.get(missing - 1) ?? 0);
    assert.ok(waited < 1500, `${waited} ms`);
    assert.equal(queue.lost, 1);
    assert.ok(shown.length > 140);
  }
});

test('several that are lost in a row are gone over, too', () => {
  const { shown, queue } = play({ seconds: 30, lateMs: (n) => (n >= 51 && n < 54 ? null : 60) });
  assert.equal(shown[shown.indexOf(50) + 1], 55);
  assert.equal(queue.lost, 3);
});

test('a part that comes late is worth more than a jump while there is something to show', () => {
  // The next segment begins right behind it.
  const { shown } = play({ seconds: 30, lateMs: (n) => (n === 54 ? 130 : 60) });
  assert.ok(shown.includes(54));
});

test('when nothing comes it says so, asks less and less, and goes on when parts come again', () => {
  const { shown, requests, queue, silentMs } = play({
    seconds: 30,
    lateMs: (n) => (n < 50 ? 60 : 60 + 10_000),
  });
  assert.ok(silentMs !== null && silentMs > 10_000 && silentMs < 11_300, `${silentMs}`);
  const waiting = requests.length - (shown.length + 60);
  assert.ok(waiting < 90, `${waiting} requests in 10 s of silence`);
  assert.ok(shown.includes(50) && shown.length > 90, `${shown.length}`);
  assert.equal(queue.isSilent(30_000), false);
});

test('a network that is gone is asked now and then', () => {
  const { shown, requests } = play({ seconds: 40, cut: (now) => now > 10_000 && now < 30_000 });
  const during = requests.length - shown.length;
  assert.ok(during < 150, `${during}`);
  // It goes on where it stood: that there is something newer the playlist says.
  assert.ok(shown.length > 90 && shown.includes(60), `${shown.length}`);
});

test('what comes twice, too late or unasked changes nothing', () => {
  const queue = new PartQueue({ head: 5, startS: 1, partS: PART_S }, new PartClock(), 0);
  assert.deepEqual(queue.due(0).ask, [5]);
  queue.asked(5, 0);
  queue.came(makePart(4), 0, 40);
  queue.came(makePart(5), 0, 40);
  queue.came(makePart(5), 0, 41);
  queue.missing(5, 42);
  queue.failed(9, 42);
  assert.deepEqual(
    queue.take(50, false).map(({ number }) => number),
    [5],
  );
  assert.equal(queue.next, 6);
});

test('parts without a keyframe are no way on: that is told', () => {
  const queue = new PartQueue({ head: 0, startS: 0, partS: PART_S }, new PartClock(), 0);
  queue.asked(0, 0);
  queue.missing(0, 40);
  queue.came(makePart(1), 300, 340);
  assert.deepEqual(queue.take(2500, true), []);
  assert.equal(queue.isStuck(1000), false);
  assert.equal(queue.isStuck(2500), true);
});

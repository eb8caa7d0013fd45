import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createServer } from 'node:http';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { ages, backToLive, latency, lateness, makeUp, percentile, stalls, traffic } from './figures.mjs';
import { SlowProxy } from './proxy.mjs';
import { barChart, curveChart, markdownOf, replaced, ticks } from './report.mjs';
import { missed, rowsFor, withRow } from './rows.mjs';
import './sampler.js';

const { clockAge, COLUMNS, ROWS, BAND } = globalThis.latencyClock;
const [WIDTH, HEIGHT] = [960, 540];

/** As the page draws it: the middle of each block. */
function lightsIn(frame) {
  return Array.from({ length: COLUMNS * ROWS }, (_, i) => {
    const x = Math.floor((((i % COLUMNS) + 0.5) * WIDTH) / COLUMNS);
    const y = Math.floor(((Math.floor(i / COLUMNS) + 0.5) * HEIGHT * BAND) / ROWS);
    return frame[y * WIDTH + x];
  });
}

function frameOf(millis) {
  const camera = fileURLToPath(new URL('../../support/clock_camera.py', import.meta.url));
  const args = ['-B', camera, '--still', String(millis), '--size', `${WIDTH}x${HEIGHT}`];
  return execFileSync('/usr/bin/python3', args, { maxBuffer: 1 << 24 });
}

test("the camera's clock can be read", () => {
  for (const millis of [1_795_320_000_123, 2 ** 32 * 417, 2 ** 32 * 418 - 1]) {
    const frame = frameOf(millis);
    assert.equal(frame.length, (WIDTH * HEIGHT * 3) / 2);
    const lights = lightsIn(frame);
    assert.equal(clockAge(lights, millis), 0);
    assert.equal(clockAge(lights, millis + 4321), 4321);
    assert.equal(clockAge(lights, millis - 7), -7);
  }
});

test('a clock that is not whole is not believed', () => {
  const lights = lightsIn(frameOf(1_795_320_000_123));
  lights.forEach((light, i) => {
    const flipped = lights.with(i, 255 - light);
    assert.equal(clockAge(flipped, 1_795_320_000_123), null, `block ${i} is another`);
    assert.equal(clockAge(lights.with(i, 128), 1_795_320_000_123), null, `block ${i} is grey`);
  });
  assert.equal(clockAge(Array(40).fill(0), 0), null, 'black');
  assert.equal(clockAge(Array(40).fill(255), 0), null, 'white');
});

/** Presented every 50 ms with the same age, but for `[from, to]`, when nothing came. */
function film(seconds, age, ...holes) {
  const frames = [];
  for (let at = 0; at < 1000 * seconds; at += 50) {
    if (!holes.some(([from, to]) => at > from && at < to)) frames.push([at, at - age, at / 1000]);
  }
  return frames;
}

test('latency is that of the pictures in the window', () => {
  const frames = [...film(10, 400), ...film(10, 900).map(([at, clock]) => [at + 10_000, clock + 10_000])];
  assert.deepEqual(latency(frames, 0, 10_000), { median: 0.4, p95: 0.4, pictures: 200 });
  assert.equal(latency(frames, 0, 20_000).p95, 0.9);
  assert.equal(percentile([1, 2, 3, 4], 0.5), 2);
  assert.equal(latency([], 0, 1).median, null);
});

test('a stall is a time without a new picture', () => {
  assert.deepEqual(stalls(film(10, 400), 0, 10_000), { count: 0, seconds: 0 });
  assert.deepEqual(stalls(film(10, 400, [2000, 2200]), 0, 10_000), { count: 0, seconds: 0 });
  assert.deepEqual(stalls(film(10, 400, [2000, 3050]), 0, 10_000), { count: 1, seconds: 1 });
  // Until the end, from the beginning, and all of the time.
  assert.deepEqual(stalls(film(10, 400, [8000, 10_000]), 0, 10_000), { count: 1, seconds: 1.95 });
  assert.equal(stalls(film(10, 400).slice(40), 0, 10_000).count, 1);
  assert.deepEqual(stalls([], 0, 10_000), { count: 1, seconds: 10 });
  // The same picture again is none, nor is an older one.
  const frozen = film(10, 400).map(([at, clock]) => [at, at > 2000 && at < 3000 ? 1600 : clock]);
  assert.equal(stalls(frozen, 0, 10_000).count, 1);
});

test('live again is as near as before, to stay', () => {
  const late = [...film(5, 400), ...film(20, 400, [0, 6000]).map(([at, clock]) => [at + 5000, clock + 5000])];
  assert.equal(backToLive(late, 400, 10_000, 25_000).toFixed(1), '1.0');
  assert.equal(backToLive(film(20, 1400), 400, 5000, 20_000), null);
  // A picture that is near for a second only is not.
  const short = film(20, 400, [6000, 9000]);
  assert.equal(backToLive(short, 400, 5000, 20_000).toFixed(1), '4.0');
  assert.deepEqual(ages(film(1, 400, [100, 300]), 0, 300), [
    [0, 400],
    [100, 400],
    [200, 500],
    [300, 400],
  ]);
});

test('the delay is made of segment, way and what lies ahead', () => {
  // Segments of 1 s whose end is 0.3 s old in the buffer; 0.2 s are left when one comes.
  const frames = film(20, 1500);
  const looks = [];
  for (let at = 0; at < 20_000; at += 50) looks.push([at, at / 1000, Math.floor((at + 200) / 1000) + 1, 1]);
  const { step, age, ahead } = makeUp({ frames, looks }, [], 0, 20_000);
  assert.equal(step.toFixed(2), '1.00');
  assert.equal(age.toFixed(2), '0.30');
  assert.ok(Math.abs(step + age + ahead - 1.5) < 0.06, `${step} + ${age} + ${ahead}`);
});

test('requests are counted by who asks', () => {
  const entry = (method, isViewers, status = 200) => ({
    method,
    isViewers,
    status,
    bytes: 1000,
    doneMs: 500,
  });
  const log = [
    entry('PUT', false),
    entry('PUT', false),
    entry('GET', true),
    entry('GET', true, 404),
    entry('GET', false),
  ];
  assert.deepEqual(traffic(log, 0, 1000), {
    putPerS: 2,
    getPerS: 2,
    emptyGetPerS: 1,
    upKbps: 16,
    downKbps: 16,
  });
});

test('a proxy that oversleeps is told', () => {
  const log = Array.from({ length: 100 }, (_, i) => ({ doneMs: i, lateMs: i < 90 ? 1 : 50 }));
  assert.equal(lateness(log, 0, 100), 0.05);
  assert.equal(lateness(log, 0, 90), 0.001);
  assert.equal(lateness([], 0, 1), 0);
  assert.match(markdownOf([{ ...PLAIN, rigLate: 0.05 }]), /too busy.* 50 ms/);
  assert.doesNotMatch(markdownOf([{ ...PLAIN, rigLate: 0.005 }]), /too busy/);
});

test('rows can be chosen, and what is not there is said', () => {
  assert.equal(rowsFor(['balanced', 'realtime'], '').length, 2 * 2 + 7);
  assert.deepEqual(
    rowsFor(['low', 'new'], 'new/put60 low/jitter').map(({ name }) => name),
    ['new/put60', 'low/jitter'],
  );
  assert.throws(() => rowsFor(['low'], 'lwo'), /lwo/);
});

test('a row measured again takes the place of the old one', () => {
  const all = [...rowsFor(['low', 'realtime'], ''), ...rowsFor(['mine'], 'mine/put60')];
  const shuffled = [...all].reverse().reduce(withRow, []);
  assert.deepEqual(
    shuffled.map(({ name }) => name),
    all
      .filter(({ fault }) => !fault)
      .concat(all.filter(({ fault }) => fault))
      .map(({ name }) => name),
  );
  const again = withRow(shuffled, { ...all[0], median: 7 });
  assert.equal(again.length, all.length);
  assert.equal(again[0].median, 7);
});

test('targets are judged as they are written', () => {
  const targets = { median: 0.5, p95: 0.6 };
  assert.deepEqual(missed(targets, { median: 0.504, p95: 0.6 }), []);
  assert.deepEqual(missed(targets, { median: 0.51, p95: null }), ['median 0.51 > 0.5', 'p95 none > 0.6']);
  assert.equal(missed({}, {}), null);
});

const FIGURES = {
  ...{
    median: 0.5,
    p95: 0.7,
    stalls: 1,
    stallSeconds: 2,
    firstPicture: 0.4,
    firstPictures: [0.4],
    putPerS: 6,
    getPerS: 8,
    settlingStalls: 2,
    player: { shown: 0.48 },
  },
  seconds: 60,
};
const PLAIN = {
  ...FIGURES,
  name: 'low/put60',
  profile: 'low',
  putMs: 60,
  fault: null,
  targets: { median: 0.4 },
};
const FAULTY = {
  ...PLAIN,
  fault: 'outage',
  targets: {},
  before: 0.5,
  backToLive: null,
  behindSeconds: 60,
  curve: [
    [-100, 500],
    [0, 900],
  ],
};
const BROKEN = {
  name: 'x/put60',
  profile: 'x',
  putMs: 60,
  fault: null,
  targets: {},
  seconds: 60,
  error: 'profile <x>\n| is not known',
};

test('a row without figures is told, too', () => {
  const text = markdownOf([PLAIN, BROKEN, FAULTY]);
  assert.match(
    text,
    /`low` \| 60 ms \| 0\.50 s \| 0\.70 s \| 0\.48 s \| 1 \(2\.0 s\), 2 while it found its place \|.*missed: median 0\.5 > 0\.4/,
  );
  assert.match(text, /`x` \| 60 ms \| error: profile <x> \/ is not known/);
  assert.match(text, /not within 60 s/);
  const near = markdownOf([
    { ...PLAIN, putMs: 0 },
    { ...FAULTY, hasSound: true, backToLive: 2 },
  ]);
  assert.match(near, /from the box .* \| 6\.0 \| – \|/);
  assert.match(near, /away for 10 s, with sound .* 2\.0 s \|/);
  for (const chart of [barChart([PLAIN, BROKEN]), curveChart([FAULTY, { ...BROKEN, fault: 'kill' }])]) {
    assert.match(chart, /^<svg .*<\/svg>\n$/s);
    assert.doesNotMatch(chart, /NaN|undefined|Infinity/);
  }
  assert.deepEqual(ticks(4.2), [0, 1, 2, 3, 4]);
  const page = 'a\n<!-- measured: begin -->\nold\n<!-- measured: end -->\nb';
  assert.equal(replaced(page, 'new\n'), 'a\n<!-- measured: begin -->\n\nnew\n\n<!-- measured: end -->\nb');
  assert.throws(() => replaced('nothing', ''), /measured/);
});

test('the proxy is slow, counts and loses', async () => {
  const objects = new Map();
  const store = createServer(async (asked, answer) => {
    const chunks = [];
    for await (const chunk of asked) chunks.push(chunk);
    if (asked.method === 'PUT') objects.set(asked.url, Buffer.concat(chunks));
    answer
      .writeHead(asked.method === 'PUT' || objects.has(asked.url) ? 200 : 404)
      .end(objects.get(asked.url));
  });
  await new Promise((done) => store.listen(0, '127.0.0.1', done));
  const proxy = await new SlowProxy(`http://127.0.0.1:${store.address().port}`).start();
  const put = (path, body) =>
    fetch(proxy.url + path, { method: 'PUT', body, headers: { authorization: 'me' } });
  try {
    proxy.reset({ putMs: 60, getMs: 40 });
    const from = performance.now();
    await put('/a.ts', 'aaaa');
    const took = performance.now() - from;
    assert.ok(took >= 59, `a PUT took ${took} ms`);
    const read = performance.now();
    assert.equal(await (await fetch(`${proxy.url}/a.ts?t=1`.replace('?t=1', ''))).text(), 'aaaa');
    assert.ok(performance.now() - read >= 39, `a GET took ${performance.now() - read} ms`);
    assert.deepEqual(
      proxy.log.map(({ method, isViewers, bytes }) => [method, isViewers, bytes]),
      [
        ['PUT', false, 4],
        ['GET', true, 4],
      ],
    );

    await put('/list.m3u8', '#EXTM3U\n#EXTINF:1,\na.ts\n#EXT-X-PART:DURATION=0.2,URI="part_7.m4s"\n');
    assert.equal(proxy.log.at(-1).names, 'part_7.m4s');

    proxy.reset({ putMs: 1, getMs: 1 });
    proxy.set({ loses: true });
    for (let i = 1; i <= 12; i += 1) assert.equal((await put(`/s${i}.ts`, 'x')).status, 200);
    const there = await Promise.all(
      [9, 10, 11].map(async (i) => (await fetch(`${proxy.url}/s${i}.ts`)).status),
    );
    assert.deepEqual(there, [200, 404, 200]);

    proxy.set({ uplinkBytesPerS: 100_000 });
    const slow = performance.now();
    await Promise.all([put('/b.ts', 'b'.repeat(10_000)), put('/c.ts', 'c'.repeat(10_000))]);
    assert.ok(performance.now() - slow >= 190, `a link of 100 kB/s took ${performance.now() - slow} ms`);

    proxy.set({ isDown: true });
    await assert.rejects(fetch(`${proxy.url}/a.ts`));
    proxy.set({});
    assert.equal((await fetch(`${proxy.url}/a.ts`)).status, 200);
  } finally {
    proxy.stop();
    store.close();
  }
});

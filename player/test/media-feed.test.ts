import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MediaFeed } from '../src/media-feed.ts';
import { readInit } from '../src/mp4.ts';
import type { Part } from '../src/part-queue.ts';
import { INIT } from './agent-mp4.ts';

/** Takes so many appends, and after a removal so many more. */
class Buffer extends EventTarget {
  updating = false;
  timestampOffset = 0;
  readonly done: string[] = [];

  constructor(
    private room: number,
    private readonly roomPerRemoval: number,
  ) {
    super();
  }

  appendBuffer(): void {
    if (this.room === 0) throw new DOMException('full', 'QuotaExceededError');
    this.room -= 1;
    this.work('append');
  }

  remove(_fromS: number, toS: number): void {
    this.room += this.roomPerRemoval;
    this.work(`remove to ${toS}`);
  }

  private work(what: string): void {
    this.done.push(what);
    this.updating = true;
    setImmediate(() => {
      this.updating = false;
      this.dispatchEvent(new Event('updateend'));
    });
  }
}

type Mocks = { mock: typeof import('node:test').mock };

/** A feed in a browser with so much room, and what it complained of. */
async function feeding(
  { mock }: Mocks,
  room: number,
  roomPerRemoval: number,
  seen: { currentTime: number; startS: number | null } = { currentTime: 10, startS: null },
) {
  const buffer = new Buffer(room, roomPerRemoval);
  const sources: EventTarget[] = [];
  class Source extends EventTarget {
    static readonly isTypeSupported = () => true;
    readonly readyState = 'open';
    duration = 0;
    readonly addSourceBuffer = () => buffer;

    constructor() {
      super();
      sources.push(this);
    }
  }
  Object.assign(globalThis, { MediaSource: Source });
  mock.method(URL, 'createObjectURL', () => 'blob:feed');
  mock.method(URL, 'revokeObjectURL', () => undefined);
  const buffered = { length: seen.startS === null ? 0 : 1, start: () => seen.startS };
  const video = { currentTime: seen.currentTime, buffered, src: '' };
  const faults: string[] = [];
  const feed = new MediaFeed(
    video as unknown as HTMLVideoElement,
    (words) => faults.push(words),
    () => false,
  );
  sources[0]?.dispatchEvent(new Event('sourceopen'));
  const init = readInit(INIT);
  assert.ok(init);
  feed.begin('r', init, INIT);
  return { feed, buffer, faults };
}

function part(number: number): Part {
  return { number, startS: number, endS: number + 1, independent: true, bytes: new ArrayBuffer(1) };
}

/** As many turns as would do for more than there is to be done. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 50; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}

test('an append that finds no room gets some, each time that it is needed', async (t) => {
  const { feed, buffer, faults } = await feeding(t, 1, 2);
  for (const number of [0, 1, 2, 3]) feed.add(part(number));
  await settled();
  assert.deepEqual(buffer.done, [
    'append',
    'remove to 9',
    'append',
    'append',
    'remove to 9',
    'append',
    'append',
  ]);
  assert.deepEqual(faults, []);
});

test('where one removal does not do, the pipeline is at fault at once', async (t) => {
  const { feed, buffer, faults } = await feeding(t, 1, 0);
  feed.add(part(0));
  await settled();
  assert.deepEqual(buffer.done, ['append', 'remove to 9']);
  assert.deepEqual(faults, ['full']);
});

test('what was shown long ago is let go, however long the page is open', async (t) => {
  const far = await feeding(t, 9, 0, { currentTime: 100, startS: 83 });
  far.feed.add(part(0));
  await settled();
  assert.deepEqual(far.buffer.done, ['append', 'remove to 92', 'append']);
  const near = await feeding(t, 9, 0, { currentTime: 100, startS: 85 });
  near.feed.add(part(0));
  await settled();
  assert.deepEqual(near.buffer.done, ['append', 'append']);
});

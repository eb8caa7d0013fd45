import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Picture } from '../src/picture.ts';

Object.assign(globalThis, { HTMLMediaElement: { HAVE_CURRENT_DATA: 2 }, document: { hidden: false } });

function make() {
  const seen = { totalVideoFrames: 0, droppedVideoFrames: 0 };
  const video = { readyState: 4, currentTime: 0, getVideoPlaybackQuality: () => seen };
  const picture = new Picture(video as unknown as HTMLVideoElement, 0);
  picture.look(0);
  const frameAt = (ms: number) => {
    seen.totalVideoFrames += 1;
    picture.look(ms);
  };
  return { picture, frameAt };
}

test('a picture that stands is idle since it moved', () => {
  const { picture, frameAt } = make();
  frameAt(1000);
  picture.look(4000);
  assert.equal(picture.idleS(4000), 3);
});

test('a change while it moves is no standing picture until it takes as long as one', () => {
  const { picture, frameAt } = make();
  frameAt(1000);
  picture.opened(1200);
  assert.equal(picture.idleS(1700), 0.5);
  assert.equal(picture.idleS(4200), 3);
  frameAt(4500);
  assert.equal(picture.idleS(4500), 0);
});

test('what is opened as the picture stood has shown nothing yet', () => {
  const { picture, frameAt } = make();
  frameAt(1000);
  picture.opened(11_000);
  assert.equal(picture.idleS(11_000), Number.POSITIVE_INFINITY);
  // Also when it is opened once more at once.
  picture.opened(11_100);
  assert.equal(picture.idleS(11_200), Number.POSITIVE_INFINITY);
});

test('the first frame is told at once, and no other one', () => {
  const { made, heard, frame } = telling();
  frame(1);
  assert.deepEqual(heard, ['first']);
  made.look(1000);
  frame(2);
  assert.deepEqual(heard, ['first']);
  made.stop();
});

/** In a browser that announces frames. */
function telling() {
  let announce: (now: number, frame: { presentedFrames: number }) => void = () => {};
  const video = {
    readyState: 4,
    currentTime: 0,
    requestVideoFrameCallback: (told: typeof announce) => {
      announce = told;
      return 1;
    },
    cancelVideoFrameCallback: () => undefined,
  };
  const heard: string[] = [];
  const made = new Picture(video as unknown as HTMLVideoElement, 0, () => heard.push('first'));
  return { made, heard, frame: (presentedFrames: number) => announce(0, { presentedFrames }) };
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Muting } from '../src/muting.ts';

function make() {
  const video = { muted: false, defaultMuted: false };
  return { video, muting: new Muting(video) };
}

test('the attribute is the default', () => {
  const { video, muting } = make();
  muting.byDefault(true);
  muting.begin();
  assert.deepEqual([muting.muted, video.defaultMuted], [true, true]);
  const other = make().muting;
  other.byDefault(true);
  other.byDefault(false);
  other.begin();
  assert.equal(other.muted, false);
});

test('a property that is set before it begins wins, with or without the attribute', () => {
  for (const attribute of [true, false]) {
    for (const wanted of [true, false]) {
      const { muting } = make();
      muting.muted = wanted;
      muting.byDefault(attribute);
      muting.begin();
      assert.equal(muting.muted, wanted);
    }
  }
});

test('who brought the sound keeps it when the player is taken out and put back', () => {
  const { video, muting } = make();
  muting.byDefault(true);
  muting.begin();
  // By the video's own controls.
  video.muted = false;
  muting.byDefault(true);
  muting.begin();
  assert.equal(muting.muted, false);
});

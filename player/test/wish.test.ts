import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Wish } from '../src/wish.ts';

test('nothing is wished before the viewer did something', () => {
  assert.equal(new Wish().isToPlay, null);
});

test('the viewer has what was done last', () => {
  const wish = new Wish();
  wish.plays();
  assert.equal(wish.isToPlay, true);
  wish.paused(1000);
  assert.equal(wish.isToPlay, false);
  wish.plays();
  assert.equal(wish.isToPlay, true);
});

test('a pause just before the page is hidden was the browser', () => {
  for (const before of [null, true]) {
    const wish = new Wish();
    if (before) wish.plays();
    wish.paused(1000);
    wish.hidden(1200);
    assert.equal(wish.isToPlay, before);
  }
});

test('who pauses and leaves stays paused', () => {
  const wish = new Wish();
  wish.plays();
  wish.paused(1000);
  wish.hidden(1500);
  assert.equal(wish.isToPlay, false);
});

test('an order to stop is no browser, also if the event of it comes after', () => {
  const wish = new Wish();
  wish.plays();
  wish.stops();
  wish.paused(1000);
  wish.hidden(1001);
  assert.equal(wish.isToPlay, false);
});

test('what the browser refused is as before', () => {
  const wish = new Wish();
  wish.stops();
  wish.plays();
  wish.refused(false);
  assert.equal(wish.isToPlay, false);
  wish.refused(true);
  assert.equal(wish.isToPlay, false, 'nothing was asked for since');
});

test('a pause is undone once', () => {
  const wish = new Wish();
  wish.paused(1000);
  wish.hidden(1100);
  wish.stops();
  wish.hidden(1150);
  assert.equal(wish.isToPlay, false);
});

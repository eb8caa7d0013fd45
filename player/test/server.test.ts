import assert from 'node:assert/strict';
import { test } from 'node:test';

test('where there is no page, as on a server that renders some, it can be imported', async () => {
  assert.equal(globalThis.HTMLElement, undefined);
  const { EdgePlayer } = await import('../src/edge-player.ts');
  assert.ok(EdgePlayer.observedAttributes.includes('src'));
});

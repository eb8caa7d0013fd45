import assert from 'node:assert/strict';
import { test } from 'node:test';
import { upgradeProperties } from '../src/upgrade.ts';

class Element {
  readonly heard: [string, unknown][] = [];
  private address: string | null = null;

  get src(): string | null {
    return this.address;
  }

  set src(value: string | null) {
    this.address = value;
    this.heard.push(['src', value]);
  }

  set muted(value: boolean) {
    this.heard.push(['muted', value]);
  }
}

test('what was set before the class was there is set again by its setters', () => {
  const element = new Element();
  Object.defineProperty(element, 'src', { value: 'a', writable: true, configurable: true });
  Object.defineProperty(element, 'muted', { value: true, writable: true, configurable: true });
  Object.defineProperty(element, 'other', { value: 1, writable: true, configurable: true });
  upgradeProperties(element, ['src', 'muted']);
  assert.deepEqual(element.heard, [
    ['src', 'a'],
    ['muted', true],
  ]);
  assert.deepEqual([Object.hasOwn(element, 'src'), Object.hasOwn(element, 'other')], [false, true]);
  element.src = 'b';
  assert.equal(element.src, 'b');
});

test('where nothing was set, nothing is', () => {
  const element = new Element();
  upgradeProperties(element, ['src', 'muted']);
  assert.deepEqual(element.heard, []);
});

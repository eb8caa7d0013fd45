import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cameraFromSource, parseCameras, readQuery } from '../src/catalog.ts';

const base = 'http://127.0.0.1:8080/';

test('the query names a playlist or a camera', () => {
  const { src, camera, wall, playing } = readQuery('?camera=cam_floor&wall=live&playing=4');
  assert.deepEqual(
    { src, camera, wall, playing },
    { src: null, camera: 'cam_floor', wall: 'live', playing: '4' },
  );
  assert.equal(readQuery('?src=https%3A%2F%2Fh%2Fa.m3u8').src, 'https://h/a.m3u8');
});

test('a playlist gives its folder as the name', () => {
  const camera = cameraFromSource('/streams/location_1/cam_floor/stream.m3u8', null, base);
  assert.equal(camera?.name, 'cam_floor');
  assert.equal(camera.playlistUrl, 'http://127.0.0.1:8080/streams/location_1/cam_floor/stream.m3u8');
  assert.equal(cameraFromSource('https://h/x.m3u8', null, base)?.name, 'h');
  assert.equal(cameraFromSource('https://h/%zz/x.m3u8', null, base)?.name, '%zz');
});

test('only http addresses are played', () => {
  for (const bad of ['javascript:alert(1)', 'data:text/plain,x', 'file:///etc/passwd', 'http://']) {
    assert.equal(cameraFromSource(bad, null, base), null, bad);
  }
});

test('the list of cameras is read, what is broken in it left out', () => {
  const list = [
    { id: 'a', name: 'Floor', playlist_url: '/streams/l/a/stream.m3u8' },
    { id: 'b', name: '', playlist_url: 'https://cdn.example/b/stream.m3u8' },
    { id: 'c', playlist_url: 'javascript:alert(1)' },
    null,
    { id: 7 },
  ];
  const cameras = parseCameras(list, base);
  assert.deepEqual(
    cameras.map(({ id, name }) => [id, name]),
    [
      ['a', 'Floor'],
      ['b', 'b'],
    ],
  );
  assert.throws(() => parseCameras({ error: 'x' }, base));
});

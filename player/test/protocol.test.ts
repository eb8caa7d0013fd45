import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Capabilities, type Protocol, type Streams, selectProtocol } from '../src/protocol.ts';

const ALL: Capabilities = {
  engines: ['native', 'hls.js', 'sub_second', 'webrtc'],
  webRtc: true,
  mediaSource: true,
  nativeHls: true,
};
const OFFERED: Streams = { playlist: true, parts: true, webRtc: true };

const TABLE: [string, Partial<Capabilities>, Partial<Streams>, Protocol[]][] = [
  ['everything', {}, {}, ['webrtc', 'sub_second', 'hls.js', 'native']],
  ['no WebRTC at the camera', {}, { webRtc: false }, ['sub_second', 'hls.js', 'native']],
  ['no WebRTC in the browser', { webRtc: false }, {}, ['sub_second', 'hls.js', 'native']],
  ['whole segments only', {}, { webRtc: false, parts: false }, ['hls.js', 'native']],
  ['an iPhone before iOS 17.1', { mediaSource: false }, { webRtc: false }, ['native']],
  ['the same with WebRTC', { mediaSource: false }, {}, ['webrtc', 'native']],
  ['Chrome, Firefox', { nativeHls: false }, { webRtc: false }, ['sub_second', 'hls.js']],
  ['WebRTC without a playlist', {}, { playlist: false, parts: true }, ['webrtc']],
  ['a build with fewer engines', { engines: ['hls.js', 'native'] }, {}, ['hls.js', 'native']],
  ['a browser that can nothing', { mediaSource: false, nativeHls: false, webRtc: false }, {}, []],
  ['nothing offered', {}, { playlist: false, webRtc: false }, []],
];

for (const [name, can, offered, expected] of TABLE) {
  test(`protocols: ${name}`, () => {
    assert.deepEqual(selectProtocol({ ...ALL, ...can }, { ...OFFERED, ...offered }), expected);
  });
}

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { lacksDecoder, namesOf, refusedOf, videoOf } from '../src/codecs.ts';

test('codecs have names that people know', () => {
  assert.equal(namesOf('hvc1.1.6.L93.B0'), 'H.265');
  assert.equal(namesOf('video/mp4; codecs="hev1.1.6.L93.B0,mp4a.40.2"'), 'H.265, AAC');
  assert.equal(namesOf('video/mp4;codecs=avc1.42C016'), 'H.264');
  assert.equal(namesOf('hvc1.1.6.L93.B0,hvc1.1.6.L120.B0'), 'H.265');
  for (const unknown of ['', 'xyz9', 'video/mp4']) assert.equal(namesOf(unknown), '');
});

test('the one that is refused is told from the others', () => {
  const takes = (type: string) => !type.includes('hvc1');
  assert.equal(refusedOf('video/mp4; codecs="hvc1.1.6.L93.B0,mp4a.40.2"', takes), 'hvc1.1.6.L93.B0');
  assert.equal(refusedOf('hvc1.1.6.L93.B0,mp4a.40.2,hvc1.1.6.L93.B0', takes), 'hvc1.1.6.L93.B0');
  // Each by itself would do.
  assert.equal(
    refusedOf('avc1.42C016,mp4a.40.2', () => true),
    'avc1.42C016,mp4a.40.2',
  );
  assert.equal(refusedOf('', takes), '');
});

test('the picture is told from the sound', () => {
  assert.equal(videoOf('video/mp4; codecs="hvc1.1.6.L93.B0,mp4a.40.2"'), 'hvc1.1.6.L93.B0');
  assert.equal(videoOf('hvc1.1.6.L93.B0'), 'hvc1.1.6.L93.B0');
  assert.equal(videoOf(''), '');
});

test('a decoder that is missing is told from data that is damaged', () => {
  const missing =
    'PipelineStatus::DECODER_ERROR_NOT_SUPPORTED: video decoder initialization failed with DecoderStatus::Codes::kUnsupportedConfig';
  assert.ok(lacksDecoder(missing));
  for (const damaged of [
    'PIPELINE_ERROR_DECODE: video decode error!',
    'CHUNK_DEMUXER_ERROR_APPEND_FAILED: Append: stream parsing failed.',
    'MEDIA_ELEMENT_ERROR: Format error',
    '',
  ])
    assert.ok(!lacksDecoder(damaged), damaged);
});

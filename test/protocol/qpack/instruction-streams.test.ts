import assert from 'node:assert/strict';
import { test } from 'node:test';
import { H3Error } from '../../../src/protocol/h3-error.js';
import {
  checkEncoderStream,
  createDecoderStreamReader,
} from '../../../src/protocol/qpack/instruction-streams.js';
import { hex } from '../bytes.js';

const fails = (codeName: string, run: () => void, detail: string): void => {
  assert.throws(run, (error) => error instanceof H3Error && error.codeName === codeName, detail);
};

test('the encoder stream may set the capacity to 0 and nothing else', () => {
  checkEncoderStream(hex('ff2020ff'), 1, 3);
  for (const text of ['21', '3fbd01', 'c000', '8000', '4a63', '00', '2002']) {
    const bytes = hex(text);
    fails('QPACK_ENCODER_STREAM_ERROR', () => checkEncoderStream(bytes, 0, bytes.length), text);
  }
});

test('the decoder stream may cancel streams, cut anywhere', () => {
  const reader = createDecoderStreamReader();
  const bytes = hex('48 7fffffff01 40 7f00 7e');
  reader.push(bytes, 0, bytes.length);
  for (let i = 0; i < bytes.length; i++) reader.push(bytes, i, i + 1);
});

test('acknowledgments and increments of what never was are refused', () => {
  for (const text of ['84', 'ff00', '01', '00', '3f01', '4881', '7fffffffffffffffffff01']) {
    const bytes = hex(text);
    fails('QPACK_DECODER_STREAM_ERROR', () => createDecoderStreamReader().push(bytes, 0, bytes.length), text);
  }
});

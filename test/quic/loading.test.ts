import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { BautaError } from '../../src/protocol/bauta-error.js';
import { createNativeEngine } from '../../src/quic/native/index.js';

const run = promisify(execFile);
const limit = { timeout: 120_000 };

test('on a platform without an engine the error says which file is missing', () => {
  const platform = Object.getOwnPropertyDescriptor(process, 'platform');
  assert.ok(platform);
  Object.defineProperty(process, 'platform', { ...platform, value: 'plan9' });
  try {
    assert.throws(
      () => createNativeEngine(),
      (error: BautaError) =>
        error instanceof BautaError &&
        error.code === 'ERR_NATIVE_ENGINE' &&
        error.message.includes(`native/bauta.plan9-${process.arch}.node`),
    );
  } finally {
    Object.defineProperty(process, 'platform', platform);
  }
});

test('building without cargo says what is missing', limit, async () => {
  const script = fileURLToPath(new URL('../../../scripts/build-native.mjs', import.meta.url));
  await assert.rejects(
    run(process.execPath, [script], { env: { PATH: '' } }),
    (error: { code?: number; stderr?: string }) =>
      error.code === 1 && /cargo is not in the path/.test(error.stderr ?? ''),
  );
});

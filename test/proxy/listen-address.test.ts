import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BautaError } from '../../src/protocol/bauta-error.js';
import { bindAddresses } from '../../src/proxy/listen-address.js';

const show = async (listen: string): Promise<string[]> =>
  (await bindAddresses(listen)).map(
    ({ address, port, dualStack, optional }) =>
      `${address} ${port}${dualStack ? ' dual' : ''}${optional ? ' optional' : ''}`,
  );

test('HOST:PORT as it is written', async () => {
  assert.deepEqual(await show(':443'), [':: 443 dual']);
  assert.deepEqual(await show('*:443'), [':: 443 dual']);
  assert.deepEqual(await show('localhost:4433'), ['127.0.0.1 4433', '::1 4433 optional']);
  assert.deepEqual(await show('127.0.0.1:0'), ['127.0.0.1 0']);
  assert.deepEqual(await show('0.0.0.0:443'), ['0.0.0.0 443']);
  assert.deepEqual(await show('[::1]:443'), ['::1 443']);
});

test('what is not HOST:PORT is refused', async () => {
  for (const text of [
    '',
    '443',
    'localhost',
    '::1:443',
    '127.0.0.1:99999',
    'host:-1',
    '[::1]',
    'https://x:1',
  ]) {
    await assert.rejects(
      bindAddresses(text),
      (error: unknown) => error instanceof BautaError && error.code === 'ERR_USAGE',
      text,
    );
  }
});

import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { stat } from 'node:fs/promises';
import { test } from 'node:test';
import { connect } from '../../src/client/connect.js';
import { startBauta, startProxyProcess, temporaryDirectory } from './run-bauta.js';

test('HTTP/3 clients of a proxy that was killed hear of it from the one that takes its place', {
  timeout: 120_000,
}, async () => {
  await using state = await temporaryDirectory();
  const echo = createSocket('udp4', (message, from) => echo.send(message, from.port, from.address));
  echo.bind(0, '127.0.0.1');
  await once(echo, 'listening');
  const target = { host: '127.0.0.1', port: echo.address().port };

  const first = await startProxyProcess(state.path);
  const client = await connect(first.link, { versions: ['h3'] });
  const tunnel = await client.openUdp(target);
  tunnel.send('before');
  await once(tunnel, 'message');
  first.bauta.child.kill('SIGKILL');
  await first.bauta.finished;

  await using second = startBauta([
    ...['proxy', '--listen', `127.0.0.1:${first.port}`, '--state-dir', state.path, '--json'],
    ...['--user', 'user:secret', '--allow-target', '127.0.0.0/8'],
  ]);
  await second.event('listening');
  const back = performance.now();
  // It has to hear something to answer.
  const sending = setInterval(() => tunnel.send('anybody?'), 20);
  const end = await tunnel.closed;
  clearInterval(sending);
  const waited = performance.now() - back;
  assert.equal(end.kind, 'lost');
  assert.match(end.kind === 'lost' ? String(end.error) : '', /has lost its state/);
  // Without the reset the idle time of 30 s would have to pass.
  assert.ok(waited < 20_000, `${waited} ms`);

  const again = await client.openUdp(target);
  again.send('after');
  const [message] = await once(again, 'message');
  assert.equal(String(message), 'after');
  assert.equal((await stat(state.file('secret'))).mode & 0o777, 0o600);
  await client.close();
  echo.close();
});

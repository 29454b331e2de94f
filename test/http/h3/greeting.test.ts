import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { systemClock } from '../../../src/clock/system-clock.js';
import { dialH3 } from '../../../src/http/h3/client.js';
import { acceptH3, h3Greeting } from '../../../src/http/h3/server.js';
import { createNativeEngine } from '../../../src/quic/native/index.js';
import { clientTls, never, serverPair } from '../../quic/pair.js';
import { far, join, near, wire } from '../../quic/wire.js';

const engine = createNativeEngine();
after(() => engine.close());

test('SETTINGS come with the handshake: a client has them one round trip after its first packet', {
  timeout: 120_000,
}, async () => {
  const [clientWire, serverWire] = [wire(near, 1400), wire(far, 1400)];
  join(clientWire, serverWire);
  let accepted = 0;
  const serve = acceptH3({ clock: systemClock }, () => ({
    request: () => assert.fail('no request is sent'),
  }));
  const listener = await engine.listen(
    {
      local: far,
      path: serverWire,
      tls: { certificates: [serverPair], alpn: ['h3'] },
      greeting: h3Greeting(),
    },
    (quic) => {
      accepted += 1;
      return serve(quic);
    },
  );
  // The server hears the first packet only.
  const { send } = clientWire;
  clientWire.send = (bytes, start, end) => {
    clientWire.send = () => undefined;
    send(bytes, start, end);
  };
  const tls = { ...clientTls(), alpn: ['h3'] };
  const quic = { remote: far, path: clientWire, tls };
  const connection = await dialH3(engine, { clock: systemClock, quic }, {}, never);
  assert.deepEqual(connection.settings, { extendedConnect: true, datagrams: true, maxStreams: undefined });
  assert.equal(accepted, 0);
  clientWire.send = send;
  // The control stream goes on behind them.
  assert.ok((await connection.ping(AbortSignal.timeout(60_000))) > 0);
  assert.equal(accepted, 1);
  await connection.close();
  await listener.close(0x100, '');
});

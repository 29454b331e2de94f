import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { HttpClientConnection } from '../../src/http/connection.js';
import { BautaError } from '../../src/protocol/bauta-error.js';
import type { HttpVersion } from '../../src/protocol/reset-reason.js';
import { MAX_UDP_PAYLOAD } from '../../src/tunnel/udp/context.js';
import { rawTunnel } from './raw-tunnel.js';
import { createDialler, openTunnel, startEcho, startProxy } from './real-proxy.js';
import { until } from './tcp-target.js';

const versions: readonly HttpVersion[] = ['h3', 'h2', 'h1'];

const refusedBy = async (ready: Promise<unknown>): Promise<BautaError> =>
  ready.then(
    () => assert.fail('it was accepted'),
    (error: unknown) => (error instanceof BautaError ? error : assert.fail(String(error))),
  );

for (const version of versions) {
  describe(`a proxy over ${version}`, { timeout: 600_000, concurrency: false }, () => {
    test('W10: carries UDP to an echo and back, also what was sent before the answer', async () => {
      const { proxy } = await startProxy();
      const { port } = await startEcho();
      const connection = await createDialler().dial(version, proxy);
      const tunnel = openTunnel(connection, '127.0.0.1', port);
      assert.equal(tunnel.sendText('before the answer'), 'sent');
      const head = await tunnel.ready;
      assert.equal(head.status, 200);
      assert.equal(new Map(head.fields).get('proxy-status'), `proxy;next-hop="127.0.0.1:${port}"`);
      assert.equal(String(await tunnel.next()), 'before the answer');
      await connection.close();
    });

    test('S13: payloads of 0, 1, 1,200 bytes and the largest, to IPv4, IPv6 and a name', async () => {
      const { proxy } = await startProxy();
      const dialler = createDialler();
      const connections: HttpClientConnection[] = [];
      for (const [host, address] of [
        ['127.0.0.1', '127.0.0.1'],
        ['::1', '::1'],
        ['localhost', '::1'],
      ] as const) {
        const { port } = await startEcho(address);
        const usable = connections.find((connection) => connection.usable);
        const connection = usable ?? (await dialler.dial(version, proxy));
        if (!usable) connections.push(connection);
        const tunnel = openTunnel(connection, host, port);
        await tunnel.ready;
        const largest = Math.min(tunnel.maxPayloadSize, 9_000);
        assert.ok(largest >= 1_200, `${largest}`);
        for (const size of [0, 1, 1_200, largest]) {
          const payload = Buffer.alloc(size, size % 251);
          assert.equal(tunnel.sendText(payload), 'sent');
          assert.deepEqual(await tunnel.next(), payload);
        }
        tunnel.end();
      }
      assert.equal(connections.length, version === 'h1' ? 3 : 1);
      for (const connection of connections) await connection.close();
    });

    const [each, many] = version === 'h1' ? [1, 20] : [200, 1];
    test(`${each * many} tunnels, ${each} on a connection`, async () => {
      const { proxy } = await startProxy();
      const { port } = await startEcho();
      const dialler = createDialler();
      const connections = await Promise.all(Array.from({ length: many }, () => dialler.dial(version, proxy)));
      const tunnels = connections.flatMap((connection) =>
        Array.from({ length: each }, () => openTunnel(connection, '127.0.0.1', port)),
      );
      await Promise.all(tunnels.map(({ ready }) => ready));
      assert.equal(proxy.info().tunnels.open, tunnels.length);
      for (const [index, tunnel] of tunnels.entries()) tunnel.sendText(`tunnel ${index}`);
      for (const [index, tunnel] of tunnels.entries()) {
        assert.equal(String(await tunnel.next()), `tunnel ${index}`);
      }
      for (const tunnel of tunnels) tunnel.end();
      const outcomes = await Promise.all(tunnels.map(({ closed }) => closed));
      assert.ok(outcomes.every(({ kind }) => kind === 'ended'));
      await until(() => proxy.info().tunnels.open === 0, 'no tunnel is left');
      await Promise.all(connections.map((connection) => connection.close()));
    });

    test('S10: a closed port of the target ends the tunnel with a connect error', async () => {
      const { proxy, events } = await startProxy();
      const { port, socket } = await startEcho();
      const connection = await createDialler().dial(version, proxy);
      const tunnel = openTunnel(connection, '127.0.0.1', port);
      tunnel.sendText('hello');
      assert.equal(String(await tunnel.next()), 'hello');
      socket.close();
      tunnel.sendText('anyone there?');
      const outcome = await tunnel.closed;
      assert.ok(outcome.kind === 'reset' && outcome.by === 'peer');
      // HTTP/1.1 has one way to abort, a TCP reset, and no code for why.
      assert.equal(outcome.reason, version === 'h1' ? 'unknown' : 'connect-error');
      const end = events.find((event) => event.event === 'tunnel-closed');
      assert.ok(end?.event === 'tunnel-closed');
      assert.deepEqual([end.reason, end.detail], ['target', 'ECONNREFUSED']);
      await connection.close();
    });

    test('S10: packets of others than the target do not come through', async () => {
      const { proxy } = await startProxy();
      const { port, socket } = await startEcho();
      const stranger = await startEcho();
      const connection = await createDialler().dial(version, proxy);
      const tunnel = openTunnel(connection, '127.0.0.1', port);
      const from = new Promise<number>((resolve) => {
        socket.once('message', (_message, { port: proxyPort }) => resolve(proxyPort));
      });
      tunnel.sendText('real');
      const proxyPort = await from;
      assert.equal(String(await tunnel.next()), 'real');
      stranger.socket.send('forged', proxyPort, '127.0.0.1');
      await new Promise((resolve) => setTimeout(resolve, 20));
      tunnel.sendText('again');
      assert.equal(String(await tunnel.next()), 'again');
      await connection.close();
    });

    test('refused targets are 403 with the reason in Proxy-Status', async () => {
      const { proxy } = await startProxy({ targets: {} });
      const connection = await createDialler().dial(version, proxy);
      const refused = openTunnel(connection, '127.0.0.1', 53);
      const error = await refusedBy(refused.ready);
      assert.equal(error.status, 403);
      assert.equal(error.code, 'ERR_TARGET_REFUSED');
      assert.match(error.proxyStatus ?? '', /^proxy;error=destination_ip_prohibited/);
      if (version !== 'h1') assert.equal(connection.usable, true);
      await connection.close();
    });

    test('S25: an unknown protocol is 501, a path of no template 404', async () => {
      const { proxy } = await startProxy();
      const dialler = createDialler();
      const unknown = await rawTunnel(await dialler.dial(version, proxy), { protocol: 'connect-nothing' });
      assert.equal((await unknown.response).status, 501);
      const elsewhere = await rawTunnel(await dialler.dial(version, proxy), { path: '/elsewhere/1/2/' });
      assert.equal((await elsewhere.response).status, 404);
    });

    test('S7: a request without Capsule-Protocol is served', async () => {
      const { proxy } = await startProxy();
      const { port } = await startEcho();
      const path = `/.well-known/masque/udp/127.0.0.1/${port}/`;
      const raw = await rawTunnel(await createDialler().dial(version, proxy), { path });
      const head = await raw.response;
      assert.equal(head.status, 200);
      assert.equal(new Map(head.fields).get('capsule-protocol'), '?1');
      // W9: a capsule is taken on every version.
      raw.write(Buffer.from('00060068656c6c6f', 'hex'));
      assert.equal(String(await raw.payload()), 'hello');
    });

    test('S12: an unknown context id is dropped; W10: an unknown capsule of 200 kB passes by', async () => {
      const { proxy } = await startProxy();
      const { port } = await startEcho();
      const path = `/.well-known/masque/udp/127.0.0.1/${port}/`;
      const raw = await rawTunnel(await createDialler().dial(version, proxy), { path });
      await raw.response;
      raw.write(Buffer.from('000302ffff', 'hex'));
      const size = 200_000;
      const head = Buffer.from('3f80000000', 'hex');
      head.writeUInt32BE(0x80000000 + size, 1);
      raw.write(Buffer.concat([head, Buffer.alloc(size)]));
      raw.write(Buffer.from('00060068656c6c6f', 'hex'));
      assert.equal(String(await raw.payload()), 'hello');
      const [tunnel] = proxy.tunnels();
      assert.ok(tunnel?.kind === 'udp');
      assert.equal(tunnel.statistics.droppedInUnknownContext, 1);
      assert.equal(tunnel.statistics.payloadsIn, 1);
    });

    test('S13: a payload above 65,527 bytes aborts the stream, the connection stays', async () => {
      const { proxy } = await startProxy();
      const { port } = await startEcho();
      const path = `/.well-known/masque/udp/127.0.0.1/${port}/`;
      const connection = await createDialler().dial(version, proxy);
      const raw = await rawTunnel(connection, { path });
      await raw.response;
      const length = MAX_UDP_PAYLOAD + 2;
      const capsule = Buffer.alloc(5 + length);
      capsule.writeUInt32BE(0x80000000 + length, 1);
      raw.write(capsule);
      const outcome = await raw.closed;
      if (version === 'h1') assert.notEqual(outcome.kind, 'ended');
      else assert.ok(outcome.kind === 'reset' && outcome.by === 'peer');
      if (version !== 'h1') assert.equal(connection.usable, true);
    });

    test('S6: an end in the middle of a capsule resets the stream', async () => {
      const { proxy } = await startProxy();
      const { port } = await startEcho();
      const path = `/.well-known/masque/udp/127.0.0.1/${port}/`;
      const raw = await rawTunnel(await createDialler().dial(version, proxy), { path });
      await raw.response;
      raw.write(Buffer.from('0006006865', 'hex'));
      raw.end();
      const outcome = await raw.closed;
      assert.notEqual(outcome.kind, 'ended');
      if (version === 'h3') assert.ok(outcome.kind === 'reset' && outcome.reason === 'message-error');
    });
  });
}

describe('a proxy over h3', { timeout: 600_000 }, () => {
  test('S26, W1: a packet from the target that is too large is dropped and counted, the tunnel stays', async () => {
    const { proxy } = await startProxy();
    const { port, socket } = await startEcho();
    const connection = await createDialler().dial('h3', proxy);
    const tunnel = openTunnel(connection, '127.0.0.1', port);
    socket.removeAllListeners('message');
    socket.on('message', (_message, from) => {
      socket.send(Buffer.alloc(4_000), from.port, from.address);
      socket.send('small', from.port, from.address);
    });
    tunnel.sendText('go');
    assert.equal(String(await tunnel.next()), 'small');
    const [open] = proxy.tunnels();
    assert.equal(open?.kind === 'udp' && open.statistics.droppedOutTooLarge, 1);
    assert.equal(tunnel.sendText(Buffer.alloc(tunnel.maxPayloadSize + 1)), 'too-large');
    await connection.close();
  });

  test('a 1,200-byte payload fits from the first packet', async () => {
    const { proxy } = await startProxy();
    const { port } = await startEcho();
    const connection = await createDialler().dial('h3', proxy);
    const tunnel = openTunnel(connection, '127.0.0.1', port);
    assert.equal(tunnel.sendText(Buffer.alloc(1_200, 7)), 'sent');
    assert.deepEqual(await tunnel.next(), Buffer.alloc(1_200, 7));
    await connection.close();
  });
});

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acceptH3 } from '../../../src/http/h3/server.js';
import { serveTcp, type TcpServing } from '../../../src/tunnel/tcp/serve-tcp.js';
import { connect, control, data, join, type RawStream, rawClient } from '../../http/h3/raw-peer.js';
import { createNetwork, listen, type Network } from '../../http/h3/simulated-http.js';
import { type ScriptedSide, scriptedSide } from './scripted-side.js';

const limit = { timeout: 120_000 };
const H3_NO_ERROR = 0x100;
const H3_REQUEST_CANCELLED = 0x10c;
const H3_CONNECT_ERROR = 0x10f;

interface Classic {
  readonly net: Network;
  readonly stream: RawStream;
  readonly target: ScriptedSide;
  readonly serving: TcpServing;
  settle(): Promise<void>;
}

/** A client that speaks frames by hand, with a CONNECT that was answered. */
async function classic(): Promise<Classic> {
  const net = createNetwork();
  const targets: ScriptedSide[] = [];
  const served: TcpServing[] = [];
  await listen(
    net,
    acceptH3({ clock: net.clock }, () => ({
      request(stream) {
        const serving = serveTcp(
          stream,
          { kind: 'connect' },
          async (handler) => {
            const far = scriptedSide(handler);
            targets.push(far);
            return { kind: 'open', far, fields: [] };
          },
          { clock: net.clock },
        );
        served.push(serving);
        return serving.streamHandler;
      },
    })),
  );
  const peer = await rawClient(net);
  peer.openUnidirectional(control());
  const stream = peer.open(join(connect(), data('first')));
  await net.clock.advanceAsync(100);
  const [target] = targets;
  const [serving] = served;
  assert.ok(target && serving);
  assert.equal(target.text(), 'first');
  return { net, stream, target, serving, settle: () => net.clock.advanceAsync(100) };
}

function send(stream: RawStream, text: string): void {
  const bytes = data(text);
  stream.quic.write(bytes, 0, bytes.length);
}

test(
  'STOP_SENDING with NO_ERROR alone: the answer is thrown away, the upload goes on to its FIN',
  limit,
  async () => {
    const { stream, target, serving, settle } = await classic();
    stream.quic.stop(H3_NO_ERROR);
    await settle();
    for (let round = 0; round < 50; round++) {
      target.tell(Buffer.alloc(30_000));
      await settle();
    }
    send(stream, ' and last');
    stream.quic.end();
    await settle();
    assert.equal(target.text(), 'first and last');
    assert.ok(target.ended);
    assert.deepEqual(target.resets, [], 'no RST that would overtake the last bytes');
    target.tell('nobody reads this');
    await settle();
    assert.deepEqual(target.resets, ['cancelled'], 'as behind a socket that was closed');
    assert.deepEqual((await serving.closed).cause, { kind: 'client' });
  },
);

test('W3: FIN and STOP_SENDING with NO_ERROR at once are a FIN for the target', limit, async () => {
  const { stream, target, serving, settle } = await classic();
  send(stream, ' and last');
  stream.quic.end();
  stream.quic.stop(H3_NO_ERROR);
  await settle();
  assert.equal(target.text(), 'first and last');
  assert.ok(target.ended);
  assert.deepEqual(target.resets, []);
  target.tellEnd();
  await settle();
  assert.deepEqual(await serving.closed, { cause: { kind: 'ended' }, outcome: { kind: 'ended' } });
});

test('STOP_SENDING with another code is a reset once what can be read was read', limit, async () => {
  const { stream, target, serving, settle } = await classic();
  stream.quic.stop(H3_REQUEST_CANCELLED);
  send(stream, ' and last');
  await settle();
  assert.equal(target.text(), 'first and last');
  assert.deepEqual(target.resets, []);
  stream.quic.end();
  await settle();
  assert.deepEqual(target.resets, ['cancelled']);
  assert.equal((await serving.closed).cause.kind, 'client');
});

test('RESET_STREAM is an RST, and answered with one', limit, async () => {
  for (const code of [H3_REQUEST_CANCELLED, H3_CONNECT_ERROR, H3_NO_ERROR, 0x1234]) {
    const { stream, target, serving, settle } = await classic();
    stream.quic.reset(code);
    await settle();
    assert.equal(target.resets.length, 1);
    assert.equal(target.ended, false);
    assert.ok(stream.events.some((event) => event.startsWith('reset ')));
    assert.equal((await serving.closed).cause.kind, 'client');
  }
});

test('an RST of the target is RESET_STREAM and STOP_SENDING with H3_CONNECT_ERROR', limit, async () => {
  for (const ended of [false, true]) {
    const { stream, target, settle } = await classic();
    if (ended) stream.quic.end();
    await settle();
    target.tellReset('connect-error');
    await settle();
    assert.deepEqual(stream.events, ended ? ['reset 10f'] : ['reset 10f', 'stopped 10f']);
  }
});

test('W6: a FIN of the target is a FIN of the stream and nothing else', limit, async () => {
  const { stream, target, settle } = await classic();
  target.tell('bye');
  target.tellEnd();
  await settle();
  assert.deepEqual(stream.events, ['end']);
  assert.ok(stream.received.toString('latin1').endsWith('bye'));
  send(stream, ', late');
  await settle();
  assert.equal(target.text(), 'first, late');
  stream.quic.end();
  await settle();
  assert.deepEqual([stream.events, target.over], [['end'], { kind: 'ended' }]);
});

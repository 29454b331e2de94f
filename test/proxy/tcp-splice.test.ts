import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { createCapsuleParser, encodeCapsule } from '../../src/protocol/capsule.js';
import { newestConnectTcpCapsules } from '../../src/protocol/connect-tcp.js';
import { createH3FrameParser } from '../../src/protocol/h3-frame.js';
import type { ProxyEvent } from '../../src/proxy/events.js';
import type { RunningProxy } from '../../src/proxy/proxy.js';
import { createNativeEngine } from '../../src/quic/native/index.js';
import {
  control,
  data,
  frame,
  headers,
  join,
  type RawPeer,
  type RawStream,
  rawClientOn,
} from '../http/h3/raw-peer.js';
import { certificate, startProxy } from './real-proxy.js';
import { startTcpTarget, type TargetSide, type TcpTarget, until } from './tcp-target.js';

const limit = { timeout: 60_000 };
const { data: DATA, finalData: FINAL_DATA } = newestConnectTcpCapsules;

const engine = createNativeEngine();
after(() => engine.close());

interface Ground {
  readonly proxy: RunningProxy;
  readonly events: readonly ProxyEvent[];
  readonly target: TcpTarget;
  readonly peer: RawPeer;
  connect(): Uint8Array;
  connectTcp(): Uint8Array;
}

async function ground(dataPath: 'js' | 'splice'): Promise<Ground> {
  const { proxy, events } = await startProxy({ dataPath });
  const target = await startTcpTarget();
  const found = proxy.addresses.find(({ transport }) => transport === 'udp');
  assert.ok(found);
  const peer = await rawClientOn(engine, {
    remote: { address: found.address, port: found.port },
    tls: { serverName: 'localhost', alpn: ['h3'], trust: { mode: 'ca', ca: certificate.cert } },
  });
  peer.openUnidirectional(control());
  return {
    proxy,
    events,
    target,
    peer,
    connect: () => headers([':method', 'CONNECT'], [':authority', `127.0.0.1:${target.port}`]),
    connectTcp: () =>
      headers(
        [':method', 'CONNECT'],
        [':protocol', 'connect-tcp-12'],
        [':scheme', 'https'],
        [':authority', 'localhost'],
        [':path', `/.well-known/masque/tcp/127.0.0.1/${target.port}/`],
        ['capsule-protocol', '?1'],
      ),
  };
}

function write(stream: RawStream, ...parts: Uint8Array[]): void {
  for (const bytes of parts) stream.quic.write(bytes, 0, bytes.length);
}

/** What came in DATA frames. */
function contentOf({ received }: RawStream): Buffer {
  const pieces: Buffer[] = [];
  const parser = createH3FrameParser(
    { stream: 'request', role: 'client', maxHeaders: 65_536 },
    {
      frame: () => undefined,
      data: (bytes, start, end) => void pieces.push(Buffer.from(bytes.subarray(start, end))),
    },
  );
  parser.push(received, 0, received.length);
  return Buffer.concat(pieces);
}

/** What came in DATA capsules, and whether FINAL_DATA did. */
function capsulesOf(stream: RawStream): { readonly text: string; readonly final: boolean } {
  const content = contentOf(stream);
  const pieces: Buffer[] = [];
  let final = false;
  const parser = createCapsuleParser(
    { streamed: new Set([DATA, FINAL_DATA]) },
    {
      datagram: () => undefined,
      piece: (_type, bytes, start, end) => void pieces.push(Buffer.from(bytes.subarray(start, end))),
      finished: (type) => {
        final ||= type === FINAL_DATA;
      },
    },
  );
  parser.push(content, 0, content.length);
  return { text: Buffer.concat(pieces).toString(), final };
}

const running = (proxy: RunningProxy): string | undefined => {
  const [tunnel] = proxy.tunnels();
  return tunnel?.kind === 'tcp' ? tunnel.dataPath : undefined;
};

const over = async ({ events }: Ground, count = 1) => {
  const closed = () => events.filter((event) => event.event === 'tunnel-closed');
  await until(() => closed().length >= count, 'the end of the tunnel');
  const [end] = closed();
  assert.ok(end && 'statistics' in end && end.kind === 'tcp');
  return end;
};

for (const dataPath of ['js', 'splice'] as const) {
  describe(`frames by hand, data path ${dataPath}`, { ...limit, concurrency: false }, () => {
    const opened = async (
      request: 'connect' | 'connectTcp',
      ...early: Uint8Array[]
    ): Promise<Ground & { readonly stream: RawStream; readonly side: TargetSide }> => {
      const on = await ground(dataPath);
      const stream = on.peer.open(join(on[request](), ...early));
      const side = await on.target.side();
      await until(() => stream.received.length > 0 && running(on.proxy) === dataPath, `the path ${dataPath}`);
      return { ...on, stream, side };
    };

    test('early bytes, a frame begun before the answer, reserved frames and every cut', limit, async () => {
      const on = await opened('connect', data('early '), data('second frame').subarray(0, 5));
      const { stream, side } = on;
      const rest = join(
        data('second frame').subarray(5),
        frame(0x21, Buffer.from('nothing')),
        data(''),
        data(' third'),
        frame(0x40 * 0x1f + 0x21, Buffer.alloc(3_000)),
        data('!'),
      );
      for (const byte of rest.subarray(0, 60)) {
        write(stream, Uint8Array.of(byte));
        await new Promise((resolve) => setImmediate(resolve));
      }
      write(stream, rest.subarray(60));
      await until(() => side.text() === 'early second frame third!', `the bytes, not ${side.text()}`);
      side.socket.write('answer');
      await until(() => contentOf(stream).toString() === 'answer', 'the answer');
      stream.quic.end();
      await until(() => side.ended, 'the FIN');
      side.socket.end(' and more');
      await until(() => stream.events.includes('end'), 'the end');
      assert.equal(contentOf(stream).toString(), 'answer and more');
      const end = await over(on);
      assert.deepEqual([end.reason, end.dataPath], ['ended', dataPath]);
      assert.deepEqual(end.statistics, { bytesIn: 25, bytesOut: 15 });
    });

    test(
      'S6: HEADERS behind bytes is an error of the connection, and an RST at the target',
      limit,
      async () => {
        const { stream, side, peer } = await opened('connect');
        write(stream, data('some'), headers(['trailer', 'x']));
        await until(() => peer.close !== undefined && side.error !== undefined, 'the close and the RST');
        assert.deepEqual(
          [peer.close?.kind, peer.close && 'code' in peer.close && peer.close.code],
          ['application', 0x105],
        );
        assert.equal(side.ended, false);
      },
    );

    test('a FIN inside a frame is an error of the connection', limit, async () => {
      const { stream, side, peer } = await opened('connect');
      write(stream, data('whole'), data('not whole').subarray(0, 6));
      await until(() => side.text() === 'wholenot ', 'what came of it');
      stream.quic.end();
      await until(() => peer.close !== undefined && side.error !== undefined, 'the close and the RST');
      assert.equal(peer.close && 'code' in peer.close && peer.close.code, 0x106);
    });

    test(
      'S5: unknown capsules are skipped, FINAL_DATA is the FIN and the way back goes on',
      limit,
      async () => {
        const first = encodeCapsule(DATA, Buffer.from('first '));
        const on = await opened('connectTcp', frame(0, first.subarray(0, 3)));
        const { stream, side } = on;
        write(
          stream,
          frame(0, join(first.subarray(3), encodeCapsule(0x1234, Buffer.alloc(5_000)))),
          frame(0, encodeCapsule(DATA, Buffer.from('second '))),
          frame(0, encodeCapsule(FINAL_DATA, Buffer.from('and last'))),
        );
        await until(() => side.ended, 'the FIN');
        assert.equal(side.text(), 'first second and last');
        side.socket.end('answer');
        await until(() => stream.events.includes('end'), 'the end');
        assert.deepEqual(capsulesOf(stream), { text: 'answer', final: true });
        stream.quic.end();
        const end = await over(on);
        assert.equal(end.reason, 'ended');
        assert.deepEqual(end.statistics, { bytesIn: 21, bytesOut: 6 });
      },
    );

    test('what breaks the rules of connect-tcp resets both ends', limit, async () => {
      for (const [content, code] of [
        [join(encodeCapsule(FINAL_DATA, Buffer.alloc(0)), encodeCapsule(DATA, Buffer.from('late'))), 0x10e],
        [encodeCapsule(0, Buffer.from('datagram')), 0x33],
        [encodeCapsule(DATA, Buffer.from('cut')).subarray(0, 7), 0x10e],
      ] as const) {
        const { stream, side } = await opened('connectTcp');
        write(stream, frame(0, encodeCapsule(DATA, Buffer.from('before '))));
        await until(() => side.text() === 'before ', 'the first bytes');
        write(stream, frame(0, content));
        stream.quic.end();
        await until(() => stream.events.some((event) => event.startsWith('reset')), 'the reset');
        assert.deepEqual(stream.events.slice(-1), [`reset ${code.toString(16)}`]);
        await until(() => side.error !== undefined, 'the RST');
      }
    });

    test('RESET_STREAM is heard although the target reads nothing', limit, async () => {
      const on = await opened('connect');
      const { stream, side, proxy, target } = on;
      side.socket.pause();
      const piece = frame(0, Buffer.alloc(1 << 20, 7));
      for (let count = 0; count < 16; count++) write(stream, piece);
      const carried = (): number => {
        const [tunnel] = proxy.tunnels();
        return tunnel && tunnel.kind === 'tcp' ? tunnel.statistics.bytesIn : 0;
      };
      let before = -1;
      while (before !== carried() || before === 0) {
        before = carried();
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      assert.ok(before < 16 << 20, 'it has to wait');
      // Another tunnel of the connection is not held up by it.
      const other = on.peer.open(join(on.connect(), data('beside it')));
      const second = await target.side(1);
      await until(() => second.text() === 'beside it', 'the bytes of another tunnel');
      stream.quic.reset(0x10c);
      await until(() => stream.events.some((event) => event.startsWith('reset')), 'the answer to it');
      assert.equal((await over(on)).reason, 'client');
      other.quic.reset(0x10c);
      await until(() => second.error !== undefined, 'the RST of the other');
    });

    test(
      'an end, a reset or a loss at any moment of the beginning leaves nothing behind',
      limit,
      async () => {
        const on = await ground(dataPath);
        const { peer, target, proxy } = on;
        const streams: RawStream[] = [];
        for (let round = 0; round < 60; round++) {
          const stream = peer.open(join(on.connect(), data('early'), data('cut').subarray(0, 3)));
          streams.push(stream);
          const until = performance.now() + (round % 12) * 0.25;
          while (performance.now() < until) await new Promise((resolve) => setImmediate(resolve));
          if (round % 3 === 0) stream.quic.reset(0x10c);
          else if (round % 3 === 1) for (const { socket } of target.sides) socket.resetAndDestroy();
          else stream.quic.stop(0x10c);
        }
        await new Promise((resolve) => setTimeout(resolve, 100));
        for (const { socket } of target.sides) socket.resetAndDestroy();
        await until(() => {
          for (const { socket } of target.sides) if (!socket.destroyed) socket.resetAndDestroy();
          return proxy.tunnels().length === 0;
        }, 'the end of all tunnels');
        // The connection is well.
        const stream = peer.open(join(on.connect(), data('still there')));
        const side = await target.side(target.sides.length);
        await until(() => side.text() === 'still there', 'the bytes of another tunnel');
        stream.quic.reset(0x10c);
        await until(() => side.error !== undefined, 'its RST');
      },
    );
  });
}

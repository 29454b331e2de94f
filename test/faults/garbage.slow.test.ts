import assert from 'node:assert/strict';
import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect as connectTcp } from 'node:net';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import { isDeepStrictEqual } from 'node:util';
import type { RealTunnel } from '../proxy/real-proxy.js';
import { type ChildProxy, settledStanding } from './child-proxy.js';
import type { FaultDialler } from './dial.js';
import { initialPacket } from './initial-packet.js';
import { thereAndBack } from './round-trips.js';
import { type Seeded, seeded } from './seeded.js';
import { describeStanding } from './standing.js';
import { startTunnelBeside } from './tunnel-beside.js';

const settings = { timeout: 120_000 };
const seed = Number(process.env['FAULT_SEED'] ?? randomInt(1, 2 ** 31));

/** Runs `harm` beside a tunnel, which must go on, and looks at what is left. */
async function besideTunnel(
  harm: (proxy: ChildProxy, dialler: FaultDialler, tunnel: RealTunnel) => Promise<void>,
  diagnostic: (text: string) => void,
): Promise<void> {
  diagnostic(`seed ${seed}`);
  const { proxy, dialler, connection, tunnel } = await startTunnelBeside('h3');
  const before = await proxy.standing();
  let running = true;
  let trips = 0;
  const beside = (async () => {
    for (; running; trips++) {
      await thereAndBack(tunnel, `trip ${trips}`);
      await delay(2);
    }
  })();
  await Promise.race([harm(proxy, dialler, tunnel), beside.then(() => assert.fail('the tunnel stopped'))]);
  running = false;
  await beside;
  const deadline = performance.now() + 60_000;
  while ((await proxy.info()).connections > 1 && performance.now() < deadline) await delay(50);
  const after = await settledStanding(
    proxy,
    ({ descriptors, objects }) =>
      descriptors === before.descriptors && isDeepStrictEqual(objects, before.objects),
  );
  diagnostic(describeStanding('before', before));
  diagnostic(describeStanding(`after, ${trips} round trips beside`, after));
  assert.equal((await proxy.info()).connections, 1);
  assert.equal(after.descriptors, before.descriptors);
  assert.equal(after.udpSockets, before.udpSockets);
  assert.deepEqual(after.objects, before.objects);
  assert.ok(after.resident < before.resident + 60e6, `${after.resident - before.resident} bytes more`);
  await connection.close();
  assert.equal(await proxy.close(), 0);
}

/** Bytes that begin as something does and go wrong later, or are wrong from the start. */
function nonsense(random: Seeded): Buffer {
  const tail = random.bytes(random.below(1_400));
  switch (random.below(8)) {
    case 0: // a long header of QUIC version 1
      return Buffer.concat([Buffer.from([0xc0 | random.below(64), 0, 0, 0, 1]), tail]);
    case 1: // an unknown version
      return Buffer.concat([
        Buffer.from([0xc0 | random.below(64)]),
        random.bytes(4),
        Buffer.alloc(1_200),
        tail,
      ]);
    case 2: // a short header
      return Buffer.concat([Buffer.from([0x40 | random.below(64)]), tail]);
    case 3: // connection ids of impossible lengths
      return Buffer.concat([Buffer.from([0xc3, 0, 0, 0, 1, 255]), Buffer.alloc(1_200), tail]);
    case 4: {
      // a good Initial with one byte changed
      const packet = initialPacket({
        destination: random.bytes(8 + random.below(13)),
        source: random.bytes(random.below(21)),
        frames: random.bytes(random.below(900)),
      });
      const at = random.below(packet.length);
      packet[at] = (packet[at] ?? 0) ^ (1 + random.below(255));
      return packet;
    }
    case 5: // a good Initial with frames of nonsense
      return initialPacket({
        destination: random.bytes(8),
        source: random.bytes(random.below(21)),
        frames: random.bytes(random.below(1_000)),
      });
    case 6: // an Initial with a token that nobody gave
      return initialPacket({
        destination: random.bytes(8),
        source: random.bytes(8),
        token: random.bytes(random.below(300)),
        frames: Buffer.from([1]),
      });
    default:
      return tail;
  }
}

/** Runs `one` so many times; what each leaves open is over within the time for a first request. */
async function inRounds(rounds: number, each: number, one: () => Promise<Promise<unknown>[]>): Promise<void> {
  const open: Promise<unknown>[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const overs of await Promise.all(Array.from({ length: each }, one))) open.push(...overs);
  }
  const left = Promise.all(open).then(() => true);
  assert.ok(await Promise.race([left, delay(90_000, false, { ref: false })]), 'the proxy ends them');
}

describe('bytes that mean nothing', { ...settings, timeout: 600_000, concurrency: true }, () => {
  test('6,000 packets of them to the UDP port', settings, async (t) => {
    await besideTunnel(
      async (proxy) => {
        const random = seeded(seed);
        const socket = createSocket('udp4');
        let answers = 0;
        let answered = 0;
        socket.on('message', (message) => {
          answers++;
          answered += message.length;
        });
        let sent = 0;
        for (let count = 0; count < 6_000; count++) {
          const bytes = nonsense(random);
          sent += bytes.length;
          socket.send(bytes, proxy.port, '127.0.0.1');
          if (count % 50 === 49) await delay(5);
        }
        await delay(200);
        t.diagnostic(`${sent} bytes sent, ${answers} packets with ${answered} bytes came back`);
        // RFC 9000 section 8.1: three times at most towards an address that was not validated.
        assert.ok(answered <= 3 * sent);
        socket.close();
        // Half-open ones end in their time.
        await delay(10_500);
      },
      (text) => t.diagnostic(text),
    );
  });

  test('to the TCP port, in place of a handshake', settings, async (t) => {
    await besideTunnel(
      async (proxy) => {
        const random = seeded(seed + 1);
        const one = async (): Promise<Promise<unknown>[]> => {
          const socket = connectTcp(proxy.port, '127.0.0.1');
          socket.on('error', () => undefined);
          socket.resume();
          const over = new Promise<void>((resolve) => socket.once('close', () => resolve()));
          await once(socket, 'connect');
          // Some begin as a TLS handshake record does.
          const head = random.below(2) === 0 ? [22, 3, 1, random.below(70), random.below(256), 1] : [];
          socket.write(Buffer.concat([Buffer.from(head), random.bytes(1 + random.below(4_000))]));
          await delay(random.below(20));
          if (random.below(3) === 0) socket.resetAndDestroy();
          else socket.end();
          return [over];
        };
        await inRounds(20, 25, one);
      },
      (text) => t.diagnostic(text),
    );
  });

  for (const alpn of ['h2', 'http/1.1']) {
    test(`to the TCP port, in place of ${alpn}`, settings, async (t) => {
      await besideTunnel(
        async (proxy) => {
          const random = seeded(seed + 2);
          const one = async (): Promise<Promise<unknown>[]> => {
            const socket = connectTls({
              port: proxy.port,
              host: '127.0.0.1',
              ca: proxy.ca,
              servername: 'localhost',
              ALPNProtocols: [alpn],
            });
            socket.on('error', () => undefined);
            socket.resume();
            const over = new Promise<void>((resolve) => socket.once('close', () => resolve()));
            await once(socket, 'secureConnect');
            const preface = 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n';
            const line = 'GET /.well-known/masque/udp/127.0.0.1/9/ HTTP/1.1\r\n';
            const starts = alpn === 'h2' ? preface : line;
            if (random.below(4) > 0) socket.write(starts);
            if (alpn === 'h2' && random.below(2) === 0) {
              // Frames with a true length and nothing else that is true.
              for (let count = random.below(30); count > 0; count--) {
                const payload = random.bytes(random.below(200));
                const frame = Buffer.concat([random.bytes(9), payload]);
                frame.writeUIntBE(payload.length, 0, 3);
                frame[3] = random.below(12);
                frame.writeUInt32BE(random.below(6), 5);
                socket.write(frame);
              }
            } else socket.write(random.bytes(1 + random.below(3_000)));
            await delay(random.below(20));
            if (random.below(2) === 0) socket.end();
            else socket.destroy();
            return [over];
          };
          await inRounds(10, 20, one);
        },
        (text) => t.diagnostic(text),
      );
    });
  }
});

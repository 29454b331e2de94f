import assert from 'node:assert/strict';
import { createSocket, type Socket } from 'node:dgram';
import { describe, test } from 'node:test';
import type { UdpProblem, UdpSocket, UdpSocketHandler, UdpSockets } from '../../../src/quic/udp-socket.js';
import { UdpOpenError } from '../../../src/quic/udp-socket.js';

interface Inbox extends UdpSocketHandler {
  readonly packets: Buffer[];
  readonly problems: UdpProblem[];
  /** Resolves when so many packets or problems are there. */
  wait(kind: 'packets' | 'problems', count: number): Promise<void>;
}

function createInbox(): Inbox {
  const packets: Buffer[] = [];
  const problems: UdpProblem[] = [];
  let wake: () => void = () => undefined;
  return {
    packets,
    problems,
    packet(bytes, start, end) {
      packets.push(Buffer.from(Uint8Array.prototype.slice.call(bytes, start, end)));
      wake();
    },
    problem(problem) {
      problems.push(problem);
      wake();
    },
    async wait(kind, count) {
      while ((kind === 'packets' ? packets : problems).length < count) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

/** A plain socket on loopback that echoes, and its port. */
async function echo(address: string): Promise<{ socket: Socket; port: number }> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4');
  socket.on('message', (message, from) => socket.send(message, from.port, from.address));
  await new Promise<void>((resolve) => socket.bind(0, address, resolve));
  return { socket, port: socket.address().port };
}

const send = (socket: UdpSocket, bytes: Uint8Array): void => {
  assert.equal(socket.send(bytes, 0, bytes.length), 'sent');
};

/** What every implementation of `UdpSockets` does; the real one and the test double both pass it. */
export function udpSocketsConformance(name: string, sockets: () => UdpSockets): void {
  describe(`UDP sockets: ${name}`, { timeout: 600_000 }, () => {
    for (const address of ['127.0.0.1', '::1']) {
      test(`carries packets of 0, 1, 1,200 and 8,192 bytes to ${address} and back`, async () => {
        const target = await echo(address);
        const inbox = createInbox();
        const socket = await sockets().open({ remote: { address, port: target.port } }, inbox);
        const sizes = [0, 1, 1_200, 8_192];
        for (const [index, size] of sizes.entries()) {
          send(socket, Buffer.alloc(size, index));
          await inbox.wait('packets', index + 1);
          assert.deepEqual(inbox.packets[index], Buffer.alloc(size, index));
        }
        const statistics = socket.statistics();
        assert.equal(statistics.packetsSent, 4);
        assert.equal(statistics.packetsReceived, 4);
        assert.equal(statistics.bytesReceived, 9_393);
        assert.notEqual(socket.localAddress.port, 0);
        socket.close();
        target.socket.close();
      });
    }

    test('sends the part of the buffer that it was given, as it was then', async () => {
      const target = await echo('127.0.0.1');
      const inbox = createInbox();
      const socket = await sockets().open({ remote: { address: '127.0.0.1', port: target.port } }, inbox);
      const buffer = Buffer.from('xxhelloyy');
      socket.send(buffer, 2, 7);
      buffer.fill(0);
      await inbox.wait('packets', 1);
      assert.equal(String(inbox.packets[0]), 'hello');
      socket.close();
      target.socket.close();
    });

    test('S10: a connected socket takes packets of its peer only', async () => {
      const target = await echo('127.0.0.1');
      const inbox = createInbox();
      const socket = await sockets().open({ remote: { address: '127.0.0.1', port: target.port } }, inbox);
      const stranger = createSocket('udp4');
      await new Promise<void>((resolve) => {
        stranger.send('forged', socket.localAddress.port, '127.0.0.1', () => resolve());
      });
      send(socket, Buffer.from('real'));
      await inbox.wait('packets', 1);
      assert.deepEqual(inbox.packets.map(String), ['real']);
      socket.close();
      stranger.close();
      target.socket.close();
    });

    test('a closed port is told as refused, and the socket stays open', async () => {
      const target = await echo('127.0.0.1');
      target.socket.close();
      const inbox = createInbox();
      const socket = await sockets().open({ remote: { address: '127.0.0.1', port: target.port } }, inbox);
      send(socket, Buffer.from('anyone?'));
      await inbox.wait('problems', 1);
      assert.equal(inbox.problems[0], 'refused');
      socket.close();
    });

    test('a packet that no UDP packet can be is told as too large, and the next one goes', async () => {
      const target = await echo('127.0.0.1');
      const inbox = createInbox();
      const socket = await sockets().open({ remote: { address: '127.0.0.1', port: target.port } }, inbox);
      send(socket, Buffer.alloc(65_520));
      await inbox.wait('problems', 1);
      assert.deepEqual(inbox.problems, ['too-large']);
      send(socket, Buffer.from('next'));
      await inbox.wait('packets', 1);
      assert.equal(String(inbox.packets[0]), 'next');
      socket.close();
      target.socket.close();
    });

    test('opening rejects with the problem when there is no way to the address', async () => {
      await assert.rejects(
        sockets().open(
          { remote: { address: '127.0.0.1', port: 9 }, local: { address: '203.0.113.7', port: 0 } },
          createInbox(),
        ),
        (error: unknown) => error instanceof UdpOpenError && error.problem === 'no-ports',
      );
    });

    test('nothing is told after close', async () => {
      const target = await echo('127.0.0.1');
      const inbox = createInbox();
      const socket = await sockets().open({ remote: { address: '127.0.0.1', port: target.port } }, inbox);
      send(socket, Buffer.from('late'));
      socket.close();
      socket.close();
      await new Promise((resolve) => setTimeout(resolve, 50));
      assert.deepEqual(inbox.packets, []);
      assert.equal(socket.send(Buffer.from('x'), 0, 1), 'dropped');
      target.socket.close();
    });
  });
}

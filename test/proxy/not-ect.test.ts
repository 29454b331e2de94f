import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { after, describe, test } from 'node:test';
import { requireCommand } from '../interop/program.js';
import { createDialler, openTunnel, startProxy } from './real-proxy.js';

/** Prints its port, then the traffic class of each packet; Node cannot read that by itself. */
const receiver = `
import socket, sys
family, address = (socket.AF_INET6, "::1") if sys.argv[1] == "6" else (socket.AF_INET, "127.0.0.1")
s = socket.socket(family, socket.SOCK_DGRAM)
if family == socket.AF_INET6:
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
else:
    s.setsockopt(socket.IPPROTO_IP, 13, 1)
s.bind((address, 0))
print(s.getsockname()[1], flush=True)
while True:
    data, control, flags, peer = s.recvmsg(2048, 256)
    for level, kind, value in control:
        print(value[0], flush=True)
`;

const found = process.platform === 'linux' ? requireCommand('python3') : { skip: 'needs Linux' };

describe('packets to the target', { timeout: 600_000, ...found }, () => {
  for (const [family, address] of [
    ['4', '127.0.0.1'],
    ['6', '::1'],
  ] as const) {
    test(`S14: they are sent as Not-ECT (IPv${family})`, async () => {
      const child: ChildProcess = spawn('python3', ['-c', receiver, family], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      after(() => child.kill());
      assert.ok(child.stdout);
      const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
      const port = Number((await lines.next()).value);
      const { proxy } = await startProxy();
      const connection = await createDialler().dial('h3', proxy);
      const tunnel = openTunnel(connection, address, port);
      await tunnel.ready;
      // One packet, and several at once, which may leave in one system call.
      tunnel.sendText('one');
      const classes = [Number((await lines.next()).value)];
      for (let index = 0; index < 5; index++) tunnel.sendText(`packet ${index}`);
      for (let index = 0; index < 5; index++) classes.push(Number((await lines.next()).value));
      // The two ECN bits (RFC 3168 section 5).
      assert.deepEqual(
        classes.map((value) => value & 3),
        [0, 0, 0, 0, 0, 0],
      );
      await connection.close();
    });
  }
});

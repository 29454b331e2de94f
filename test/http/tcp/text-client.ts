import net from 'node:net';
import type { TestContext } from 'node:test';
import tls, { type TLSSocket } from 'node:tls';
import type { SocketAddress } from '../../../src/quic/address.js';
import { certificate } from './peers.js';

/** A client that sends exactly what it is told to, and keeps all that comes. */
export interface TextClient {
  readonly socket: TLSSocket;
  readonly raw: net.Socket;
  readonly text: () => string;
  readonly ended: () => boolean;
  send(text: string): void;
  /** Waits until the text so far fits, or the connection is over. */
  until(fits: (text: string) => boolean): Promise<string>;
}

export async function textClient(
  t: TestContext,
  remote: SocketAddress,
  alpn: readonly string[] = ['http/1.1'],
): Promise<TextClient> {
  const raw = net.connect({ host: remote.address, port: remote.port, allowHalfOpen: true });
  const socket = tls.connect({
    socket: raw,
    ca: Buffer.from(certificate.cert),
    servername: 'localhost',
    ALPNProtocols: [...alpn],
  });
  t.after(() => raw.destroy());
  let text = '';
  let over = false;
  const waiters = new Set<() => void>();
  const wake = (): void => {
    for (const waiter of [...waiters]) waiter();
  };
  await new Promise((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
  });
  const stop = (): void => {
    over = true;
    wake();
  };
  socket.on('error', stop);
  raw.on('error', stop);
  socket.on('end', () => {
    stop();
    socket.end();
  });
  socket.on('close', stop);
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
    wake();
  });
  return {
    socket,
    raw,
    text: () => text,
    ended: () => over,
    send: (given) => void socket.write(given, 'latin1'),
    until: (fits) =>
      new Promise((resolve) => {
        const check = (): void => {
          if (!fits(text) && !over) return;
          waiters.delete(check);
          resolve(text);
        };
        waiters.add(check);
        check();
      }),
  };
}

export const upgradeText = (fields = '', token = 'connect-udp'): string =>
  `GET /.well-known/masque/udp/192.0.2.1/443/ HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: ${token}\r\n${fields}\r\n`;

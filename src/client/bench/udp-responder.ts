import { createHmac } from 'node:crypto';
import type { Clock, RandomBytes, Timer } from '../../clock/clock.js';
import type { SocketAddress } from '../../quic/address.js';
import type { UdpSocket, UdpSockets } from '../../quic/udp-socket.js';
import {
  COOKIE_SIZE,
  HEADER,
  kindOf,
  kinds,
  REPORT_SIZE,
  readUint32,
  SOURCE_GRANT,
  smallestOf,
  writeHeader,
  writeUint32,
} from './datagram-format.js';
import { createPacer, type Pacer } from './pacer.js';

export interface UdpResponder {
  readonly localAddress: SocketAddress;
  close(): void;
}

export interface UdpResponderOptions {
  readonly sockets: UdpSockets;
  readonly local: SocketAddress;
  readonly clock: Clock;
  readonly random: RandomBytes;
  /** Peers at once; default 64. Above it one that was quiet for 10 s gives way. */
  readonly maxPeers?: number;
}

/** Somebody who has shown a cookie, and so that the address is his own. */
interface Peer {
  readonly address: SocketAddress;
  readonly cookie: Uint8Array;
  run: number;
  counted: number;
  sent: number;
  grantedUntil: number;
  source: Pacer | undefined;
  lastActive: number;
}

const EVICTABLE_AFTER = 10_000;
/** The most that a peer can ask to be sent. */
const MOST_PER_SECOND = 2_000_000;
const LARGEST = 65_507;

/**
 * Echoes, counts and sends datagrams for a speed test. Nobody gets more than he sent before he has shown, with a
 * cookie, that he receives at his address; and what is sent unasked ends 300 ms after he was last heard.
 */
export async function openUdpResponder(options: UdpResponderOptions): Promise<UdpResponder> {
  const { clock, maxPeers = 64 } = options;
  const secret = options.random(32);
  const peers = new Map<string, Map<number, Peer>>();
  const answer = Buffer.alloc(LARGEST);
  let count = 0;
  let sweeper: Timer | undefined;

  const cookieOf = ({ address, port }: SocketAddress): Uint8Array =>
    createHmac('sha256', secret).update(`${address} ${port}`).digest().subarray(0, COOKIE_SIZE);
  const isCookie = (cookie: Uint8Array, bytes: Uint8Array, start: number): boolean => {
    for (let at = 0; at < COOKIE_SIZE; at++) if (cookie[at] !== bytes[start + 8 + at]) return false;
    return true;
  };

  const remove = (peer: Peer): void => {
    peer.source?.stop();
    const ports = peers.get(peer.address.address);
    if (!ports?.delete(peer.address.port)) return;
    if (ports.size === 0) peers.delete(peer.address.address);
    count -= 1;
  };
  const removeQuiet = (): void => {
    const now = clock.now();
    for (const ports of [...peers.values()]) {
      for (const peer of [...ports.values()]) if (now - peer.lastActive >= EVICTABLE_AFTER) remove(peer);
    }
  };
  const sweep = (): void => {
    sweeper = undefined;
    removeQuiet();
    if (count > 0) sweepLater();
  };
  const sweepLater = (): void => {
    sweeper ??= clock.setTimeout(sweep, EVICTABLE_AFTER);
    sweeper.unref();
  };
  const admit = (from: SocketAddress, bytes: Uint8Array, start: number): Peer | undefined => {
    const known = peers.get(from.address)?.get(from.port);
    if (known) return isCookie(known.cookie, bytes, start) ? known : undefined;
    const cookie = cookieOf(from);
    if (!isCookie(cookie, bytes, start)) return undefined;
    if (count >= maxPeers) removeQuiet();
    if (count >= maxPeers) return undefined;
    const peer: Peer = {
      address: { address: from.address, port: from.port },
      cookie,
      run: 0,
      counted: 0,
      sent: 0,
      grantedUntil: 0,
      source: undefined,
      lastActive: clock.now(),
    };
    let ports = peers.get(from.address);
    if (!ports) {
      ports = new Map();
      peers.set(from.address, ports);
    }
    ports.set(from.port, peer);
    count += 1;
    sweepLater();
    return peer;
  };

  const startRun = (peer: Peer, run: number): void => {
    if (peer.run === run) return;
    peer.run = run;
    peer.counted = 0;
    peer.sent = 0;
    peer.source?.stop();
    peer.source = undefined;
  };
  const source = (peer: Peer, rate: number, size: number): void => {
    if (rate === 0 || rate > MOST_PER_SECOND || size < HEADER || size > LARGEST) {
      peer.source?.stop();
      peer.source = undefined;
      return;
    }
    peer.grantedUntil = clock.now() + SOURCE_GRANT;
    peer.source ??= createPacer(clock, rate, () => {
      if (clock.now() > peer.grantedUntil) return false;
      writeHeader(answer, kinds.sourced, undefined);
      writeUint32(answer, 16, peer.run);
      writeUint32(answer, 20, peer.sent);
      if (socket.send(answer, 0, size, peer.address) === 'sent') peer.sent += 1;
      return true;
    });
  };

  const packet = (bytes: Uint8Array, start: number, end: number, from: SocketAddress | undefined): void => {
    if (!from) return;
    const kind = kindOf(bytes, start, end);
    const smallest = smallestOf[kind];
    if (smallest === undefined || end - start < smallest) return;
    if (kind === kinds.hello) {
      writeHeader(answer, kinds.cookie, cookieOf(from));
      answer.set(bytes.subarray(start + 16, start + HEADER), 16);
      socket.send(answer, 0, HEADER, from);
      return;
    }
    const peer = admit(from, bytes, start);
    if (!peer) return;
    peer.lastActive = clock.now();
    if (kind === kinds.echo) {
      answer.set(bytes.subarray(start, end));
      answer[4] = kinds.echoed;
      socket.send(answer, 0, end - start, from);
      return;
    }
    startRun(peer, readUint32(bytes, start + 16));
    if (kind === kinds.sink) peer.counted += 1;
    else if (kind === kinds.source) {
      source(peer, readUint32(bytes, start + 32), readUint32(bytes, start + 36) >>> 16);
    } else if (kind === kinds.count) {
      answer.set(bytes.subarray(start, start + REPORT_SIZE));
      answer[4] = kinds.counted;
      writeUint32(answer, 32, peer.counted);
      writeUint32(answer, 36, peer.sent);
      socket.send(answer, 0, REPORT_SIZE, from);
    }
  };

  const socket: UdpSocket = await options.sockets.open(
    { local: options.local, bufferSize: 4 << 20 },
    { packet, problem: () => undefined },
  );
  return {
    localAddress: socket.localAddress,
    close() {
      clock.clearTimeout(sweeper);
      for (const ports of peers.values()) for (const peer of ports.values()) peer.source?.stop();
      peers.clear();
      count = 0;
      socket.close();
    },
  };
}

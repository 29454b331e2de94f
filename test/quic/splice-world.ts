import assert from 'node:assert/strict';
import { createCapsuleParser, encodeCapsule } from '../../src/protocol/capsule.js';
import { newestConnectTcpCapsules } from '../../src/protocol/connect-tcp.js';
import type { ByteSplice } from '../../src/quic/byte-splice.js';
import type { TcpSocket, TcpSockets } from '../../src/quic/tcp-socket.js';
import { startTcpTarget, type TargetSide, type TcpTarget } from '../proxy/tcp-target.js';
import { never } from './pair.js';
import { TcpPeer } from './tcp-world.js';

export const { data: DATA, finalData: FINAL_DATA } = newestConnectTcpCapsules;

export const capsule = (type: number, content: Uint8Array | string): Uint8Array =>
  encodeCapsule(type, Buffer.from(content));

/** What came in DATA capsules. */
export function contentOf(bytes: Uint8Array): Buffer {
  const pieces: Buffer[] = [];
  const parser = createCapsuleParser(
    { streamed: new Set([DATA]) },
    {
      datagram: () => undefined,
      piece: (_type, from, start, end) => void pieces.push(Buffer.from(from.subarray(start, end))),
      finished: () => undefined,
    },
  );
  parser.push(bytes, 0, bytes.length);
  return Buffer.concat(pieces);
}

/** A connection to a target, of which nothing was granted. */
export interface Far {
  readonly peer: TcpPeer;
  readonly socket: TcpSocket;
  readonly side: TargetSide;
  readonly target: TcpTarget;
}

export async function dial(tcp: TcpSockets): Promise<Far> {
  const target = await startTcpTarget();
  const peer = new TcpPeer();
  const remote = { address: '127.0.0.1', port: target.port };
  const socket = await tcp.connect({ remote }, peer, never);
  peer.attach(socket);
  return { peer, socket, side: await target.side(), target };
}

/** Waits for the answer to a request that `ask` makes. */
export async function spliced(
  ask: (begun: (splice: ByteSplice | undefined) => void) => boolean,
): Promise<ByteSplice | undefined> {
  return new Promise((resolve, reject) => {
    if (!ask(resolve)) reject(new Error('it cannot be'));
  });
}

export function moved(splice: ByteSplice | undefined, bytesIn: number, bytesOut: number): void {
  assert.deepEqual(splice?.statistics(), { bytesIn, bytesOut });
}

import type { NumberTable } from '../../tables/number-table.js';
import type { SocketAddress } from '../address.js';
import type { CongestionControl } from '../congestion.js';
import type { EngineThread } from '../engine-thread.js';
import type { SharedRoom } from '../write-gauge.js';
import type { Arena } from './arena.js';
import type { NativeEngine } from './binding.js';
import type { NativeConnection } from './connection.js';
import type { Endpoint } from './endpoints.js';
import type { EngineListener } from './engine-listener.js';
import type { NativeJoin } from './join.js';
import type { RecordReader } from './record-reader.js';
import type { NativeUdpSocket } from './sockets.js';
import type { NativeStreamJoin } from './stream-join.js';
import type { Submission } from './submission.js';
import type { NativeTcpSocket } from './tcp-socket.js';

/** What one engine's parts share. Tables are indexed by the numbers that records carry. */
export interface EngineContext {
  readonly native: NativeEngine;
  readonly arena: Arena;
  readonly submission: Submission;
  readonly reader: RecordReader;
  readonly connections: (NativeConnection | undefined)[];
  readonly endpoints: (Endpoint | undefined)[];
  readonly sockets: (NativeUdpSocket | undefined)[];
  /** Indexes of the two tables above that were given back. */
  readonly freedEndpoints: number[];
  readonly freedSockets: number[];
  /** By number; those that the engine accepted have odd ones. */
  readonly tcpSockets: NumberTable<NativeTcpSocket>;
  readonly tcpListeners: Map<number, EngineListener>;
  /** The number of the next TCP socket or listener opened here. */
  nextTcp: number;
  /** Shared by the writes of all streams and TCP sockets. */
  readonly writeRoom: SharedRoom;
  /** Of QUIC connections that say nothing else. */
  readonly congestion: CongestionControl;
  readonly addresses: (SocketAddress | undefined)[];
  /** Joined connections, by numbers that are not used again for long. */
  readonly joins: Map<number, NativeJoin>;
  /** Joined streams, in the same way. */
  readonly streamJoins: Map<number, NativeStreamJoin>;
  nextJoin: number;
  /** Connections have numbers of their own that are never used twice. */
  nextConnectionId: number;
  /** From one such number to the next: other engines have those between. */
  readonly connectionIdStep: number;
  /** This engine, as its connections show it; undefined where there is no other beside it. */
  readonly thread: EngineThread | undefined;
  /** Something opened (+1) or gone (-1): the process stays alive while any is left. */
  hold(change: 1 | -1): void;
  /** False once the engine is being closed. */
  open: boolean;
}

/** An index of a table that is not in use; it is taken once something is put there. */
export function freeIndex(table: readonly unknown[], freed: number[]): number {
  for (let index = freed.pop(); index !== undefined; index = freed.pop()) {
    if (table[index] === undefined) return index;
  }
  return table.length;
}

/** Numbers of TCP sockets and listeners that are opened here are even and below this; used again only after all others. */
const tcpNumbers = 2 ** 30;

export function freeTcpNumber(context: EngineContext): number {
  for (;;) {
    const index = context.nextTcp;
    context.nextTcp = index + 2 === tcpNumbers ? 2 : index + 2;
    if (!context.tcpSockets.has(index) && !context.tcpListeners.has(index)) return index;
  }
}

/** What each queued datagram counts besides its bytes, so that empty ones are bounded too. */
export const datagramOverhead = 32;

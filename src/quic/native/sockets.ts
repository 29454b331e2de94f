import type { SocketAddress } from '../address.js';
import type { DatagramSplice } from '../datagram-splice.js';
import {
  UdpOpenError,
  type UdpSocket,
  type UdpSocketHandler,
  type UdpSocketOptions,
  type UdpSocketStatistics,
  type UdpSockets,
} from '../udp-socket.js';
import { datagramOverhead, type EngineContext, freeIndex } from './context.js';
import { errnoName, udpProblem } from './errno.js';
import { operation } from './records.js';
import { type NativeSplice, spliceSocket } from './splice.js';

/** Bytes that may wait to be sent on one socket. */
const sendQueue = 1024 * 1024;

/** The face of one UDP socket in the engine. */
export class NativeUdpSocket implements UdpSocket {
  localAddress: SocketAddress = { address: '0.0.0.0', port: 0 };
  #queued = 0;
  #refused = 0;
  #open = true;
  #settled = false;
  #last: UdpSocketStatistics | undefined;
  #splice: NativeSplice | undefined;

  constructor(
    private readonly context: EngineContext,
    private readonly index: number,
    private readonly connected: boolean,
    readonly handler: UdpSocketHandler,
    private readonly settle: (error?: UdpOpenError) => void,
  ) {}

  send(bytes: Uint8Array, start: number, end: number, to?: SocketAddress): 'sent' | 'dropped' {
    const cost = end - start + datagramOverhead;
    if (!this.#open || this.#queued + cost > sendQueue || (to === undefined) !== this.connected) {
      this.#refused++;
      return 'dropped';
    }
    if (end - start > 65_535) {
      this.#refused++;
      this.handler.problem('too-large', 'EMSGSIZE');
      return 'dropped';
    }
    this.#queued += cost;
    this.context.submission.packet(operation.sendPacket, this.index, to, bytes, start, end);
    return 'sent';
  }

  statistics(): UdpSocketStatistics {
    return this.#last ?? this.#measure();
  }

  #measure(): UdpSocketStatistics {
    const statistics = this.context.native.socketStatistics(this.index);
    return { ...statistics, droppedSending: statistics.droppedSending + this.#refused };
  }

  /** Once: lets the engine move packets to and from datagrams of a connection of the same engine. */
  splice(context: EngineContext, connection: number, number: number): DatagramSplice | undefined {
    if (!this.#open || !this.connected || context !== this.context || this.#splice) return undefined;
    this.#splice = spliceSocket(context, this.index, connection, number);
    return this.#splice;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.context.submission.simple(operation.closeSocket, this.index);
  }

  // what the engine tells

  opened(errno: number, local: SocketAddress): void {
    if (errno === 0) {
      this.localAddress = local;
      this.#settled = true;
      this.settle();
      return;
    }
    const name = errnoName(errno);
    this.#gone();
    this.settle(new UdpOpenError(udpProblem(name), name));
  }

  packet(bytes: Uint8Array, start: number, end: number, from: number): void {
    if (this.#open) this.handler.packet(bytes, start, end, from ? this.context.addresses[from] : undefined);
  }

  problem(errno: number): void {
    if (!this.#open) return;
    const name = errnoName(errno);
    this.handler.problem(udpProblem(name), name);
  }

  spliceHeld(held: boolean): void {
    this.#splice?.held(held);
  }

  space(bytes: number): void {
    this.#queued -= bytes;
  }

  closed(): void {
    this.#last = this.#measure();
    this.#gone();
    if (!this.#settled) this.settle(new UdpOpenError('other', 'ECANCELED'));
  }

  #gone(): void {
    this.#open = false;
    this.#splice?.over();
    this.context.native.forgetSocket(this.index);
    this.context.sockets[this.index] = undefined;
    this.context.freedSockets.push(this.index);
    this.context.hold(-1);
  }
}

/** The engine's sockets. */
export function createUdpSockets(context: EngineContext): UdpSockets {
  return {
    open(options: UdpSocketOptions, handler: UdpSocketHandler): Promise<UdpSocket> {
      if (!context.open) return Promise.reject(new UdpOpenError('other', 'ECANCELED'));
      return new Promise((resolve, reject) => {
        const index = freeIndex(context.sockets, context.freedSockets);
        const socket = new NativeUdpSocket(context, index, options.remote !== undefined, handler, (error) => {
          if (error) reject(error);
          else resolve(socket);
        });
        context.submission.flush();
        try {
          context.native.openSocket(index, options);
        } catch {
          context.freedSockets.push(index);
          reject(new UdpOpenError('other', 'EINVAL'));
          return;
        }
        context.sockets[index] = socket;
        context.hold(1);
      });
    },
  };
}

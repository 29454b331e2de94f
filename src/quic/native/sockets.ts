import type { SocketAddress } from '../address.js';
import type { DatagramSplice, TakeRest } from '../datagram-splice.js';
import {
  UdpOpenError,
  type UdpSocket,
  type UdpSocketHandler,
  type UdpSocketOptions,
  type UdpSocketStatistics,
  type UdpSockets,
  zeroUdpSocketStatistics,
} from '../udp-socket.js';
import { datagramOverhead, type EngineContext, freeIndex } from './context.js';
import { errnoName, udpProblem } from './errno.js';
import { operation } from './records.js';
import { type NativeSplice, spliceCapsules, spliceSocket } from './splice.js';

/** Bytes that may wait to be sent on one socket. */
const sendQueue = 1024 * 1024;

const nowhere: SocketAddress = { address: '0.0.0.0', port: 0 };
const unset: SocketAddress = { address: '', port: 0 };

/** As the engine has them. */
const ports = { 'for-others': 1, 'of-another': 2 } as const;

const nothing: UdpSocketStatistics = zeroUdpSocketStatistics();

/** So many sockets that are free for the next keep what the native side has of them, which those replace. */
const keptSockets = 64;

/** What the engine writes a socket's statistics into. */
const measured = new Float64Array(6);

/** The face of one UDP socket in the engine. */
export class NativeUdpSocket implements UdpSocket {
  #localAddress: SocketAddress | undefined;
  #queued = 0;
  #refused = 0;
  #open = true;
  #last: UdpSocketStatistics = nothing;
  #splice: NativeSplice | undefined;

  constructor(
    private readonly context: EngineContext,
    private readonly index: number,
    private readonly connected: boolean,
    readonly handler: UdpSocketHandler,
  ) {
    context.hold(1);
  }

  /** Asked for when it is wanted, which for a target's socket is hardly ever. */
  get localAddress(): SocketAddress {
    this.#localAddress ??= this.context.native.socketAddress(this.index) ?? undefined;
    return this.#localAddress ?? nowhere;
  }

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
    if (!this.#open) return this.#last;
    this.context.native.socketStatistics(this.index, measured);
    const [packetsSent = 0, packetsReceived = 0, bytesSent = 0, bytesReceived = 0, dropped = 0, lost = 0] =
      measured;
    this.#last = {
      packetsSent,
      packetsReceived,
      bytesSent,
      bytesReceived,
      droppedSending: dropped + this.#refused,
      droppedReceiving: lost,
    };
    return this.#last;
  }

  /** Once: lets the engine move packets to and from datagrams of a connection of the same engine. */
  splice(context: EngineContext, connection: number, number: number): DatagramSplice | undefined {
    if (!this.#spliceable(context)) return undefined;
    this.#splice = spliceSocket(context, this.index, connection, number);
    return this.#splice;
  }

  /** The same for capsules on a stream of an HTTP/2 session, or on a TCP socket where the stream is 0. */
  spliceCapsules(
    context: EngineContext,
    near: number,
    stream: number,
    rest: TakeRest,
  ): DatagramSplice | undefined {
    if (!this.#spliceable(context)) return undefined;
    this.#splice = spliceCapsules(context, this.index, near, stream, rest);
    return this.#splice;
  }

  #spliceable(context: EngineContext): boolean {
    return this.#open && this.connected && context === this.context && !this.#splice;
  }

  close(): void {
    if (!this.#open) return;
    this.#letGo();
    this.context.submission.simple(operation.closeSocket, this.index);
  }

  // what the engine tells

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

  /** The engine is gone. */
  lost(): void {
    if (this.#open) this.#letGo();
  }

  /** Nothing is told of it any more; its number is free once the engine has closed it (`socketClosed`). */
  #letGo(): void {
    // Its number may be another's by the time that somebody asks.
    this.#localAddress ??= this.connected ? nowhere : this.localAddress;
    this.#open = false;
    this.#splice?.over();
    this.context.sockets[this.index] = undefined;
    this.context.hold(-1);
  }
}

/** The engine has closed a socket: because it was asked to, or with itself. */
export function socketClosed(context: EngineContext, index: number): void {
  context.sockets[index]?.lost();
  if (context.freedSockets.length >= keptSockets) context.native.forgetSocket(index);
  context.freedSockets.push(index);
}

/** The engine's sockets. */
export function createUdpSockets(context: EngineContext): UdpSockets {
  /** 0 or the number of an error. */
  const opened = (index: number, { remote, local, bufferSize = 0, port }: UdpSocketOptions): number => {
    const [there, here] = [remote ?? unset, local ?? unset];
    return context.native.openSocket(
      ...([index, there.address, there.port, here.address, here.port] as const),
      bufferSize,
      port === undefined ? 0 : ports[port],
    );
  };
  return {
    async open(options: UdpSocketOptions, handler: UdpSocketHandler): Promise<UdpSocket> {
      if (!context.open) throw new UdpOpenError('other', 'ECANCELED');
      const index = freeIndex(context.sockets, context.freedSockets);
      let errno: string | undefined;
      try {
        const number = opened(index, options);
        if (number !== 0) errno = errnoName(number);
      } catch {
        errno = 'EINVAL';
      }
      if (errno !== undefined) {
        context.freedSockets.push(index);
        throw new UdpOpenError(udpProblem(errno), errno);
      }
      const socket = new NativeUdpSocket(context, index, options.remote !== undefined, handler);
      context.sockets[index] = socket;
      context.submission.soon();
      return socket;
    },
  };
}

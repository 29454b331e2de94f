import type { SocketAddress } from '../address.js';
import { TcpOpenError, type TcpSocketHandler } from '../tcp-socket.js';
import type { EngineContext } from './context.js';
import { errnoName, tcpProblem } from './errno.js';
import { operation } from './records.js';
import { NativeTcpSocket, type Settle } from './tcp-socket.js';

/** A new socket, and what attaches its handler. */
export interface Adopted {
  readonly socket: NativeTcpSocket;
  attach(): TcpSocketHandler;
}

/** A listener as records find it, with TLS or without: opened or refused once, and gone once. */
export abstract class EngineListener {
  localAddress: SocketAddress = { address: '0.0.0.0', port: 0 };
  #settle: Settle | undefined;

  constructor(
    protected readonly context: EngineContext,
    protected readonly index: number,
    settle: Settle,
  ) {
    this.#settle = settle;
  }

  /** Makes a connection's face; the reader stands behind its addresses. */
  abstract adopt(index: number): Adopted;

  /** Records find it no longer. */
  protected forgotten(): void {}

  close(): void {
    if (!this.context.tcpListeners.has(this.index)) return;
    this.context.submission.simple(operation.tcpCloseListener, this.index);
    this.gone();
  }

  // what the engine tells

  opened(errno: number, local: SocketAddress): void {
    if (errno === 0) {
      this.localAddress = local;
      this.#settled();
      return;
    }
    const name = errnoName(errno);
    this.#settled(new TcpOpenError(tcpProblem(name), name));
    this.gone();
  }

  /** Not there any more, nor will it be. */
  gone(): void {
    if (!this.context.tcpListeners.delete(this.index)) return;
    this.forgotten();
    this.context.hold(-1);
    this.#settled(new TcpOpenError('other', 'ECANCELED'));
  }

  #settled(error?: Error): void {
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.(error);
  }
}

/** A connection has come in. */
export function accepted(context: EngineContext, listener: number): void {
  const { reader } = context;
  const index = reader.word();
  const local = reader.address();
  const remote = reader.address();
  const adopted = context.tcpListeners.get(listener)?.adopt(index);
  const socket = adopted?.socket ?? new NativeTcpSocket(context, index);
  socket.opened(0, local, remote);
  context.tcpSockets.set(index, socket);
  context.hold(1);
  let taken = false;
  try {
    socket.handler = adopted?.attach();
    taken = adopted !== undefined;
  } finally {
    // Nobody wants it: the listener was closed meanwhile, or what it called failed.
    if (!taken) socket.reset();
  }
}

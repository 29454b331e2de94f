import type { SocketAddress } from '../address.js';
import { type TcpAccept, type TcpListener, TcpOpenError, type TcpSocketHandler } from '../tcp-socket.js';
import type { EngineContext } from './context.js';
import { errnoName, tcpProblem } from './errno.js';
import { operation } from './records.js';
import { NativeTcpSocket, type Settle } from './tcp-socket.js';

/** A new socket, and what attaches its handler. */
export interface Adopted {
  readonly socket: NativeTcpSocket;
  attach(): TcpSocketHandler;
}

/** A listener as records find it. */
export interface EngineListener {
  opened(errno: number, local: SocketAddress): void;
  /** Makes a connection's face; the reader stands behind its addresses. */
  adopt(index: number): Adopted;
  /** Not there any more, nor will it be. */
  gone(): void;
}

/** The face of one TCP listener in the engine. */
export class NativeTcpListener implements TcpListener, EngineListener {
  localAddress: SocketAddress = { address: '0.0.0.0', port: 0 };
  #settle: Settle | undefined;

  constructor(
    private readonly context: EngineContext,
    private readonly index: number,
    private readonly accept: TcpAccept,
    settle: Settle,
  ) {
    this.#settle = settle;
  }

  close(): void {
    if (!this.context.tcpListeners.has(this.index)) return;
    this.context.submission.simple(operation.tcpCloseListener, this.index);
    this.gone();
  }

  // what the engine tells

  opened(errno: number, local: SocketAddress): void {
    const settle = this.#settle;
    this.#settle = undefined;
    if (errno === 0) {
      this.localAddress = local;
      settle?.();
      return;
    }
    const name = errnoName(errno);
    this.gone();
    settle?.(new TcpOpenError(tcpProblem(name), name));
  }

  adopt(index: number): Adopted {
    const socket = new NativeTcpSocket(this.context, index);
    return { socket, attach: () => this.accept(socket) };
  }

  gone(): void {
    if (!this.context.tcpListeners.delete(this.index)) return;
    this.context.hold(-1);
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.(new TcpOpenError('other', 'ECANCELED'));
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

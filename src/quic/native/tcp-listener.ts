import type { TcpAccept, TcpListener } from '../tcp-socket.js';
import type { EngineContext } from './context.js';
import { type Adopted, EngineListener } from './engine-listener.js';
import { NativeTcpSocket, type Settle } from './tcp-socket.js';

/** The face of one TCP listener in the engine. */
export class NativeTcpListener extends EngineListener implements TcpListener {
  constructor(
    context: EngineContext,
    index: number,
    private readonly accept: TcpAccept,
    settle: Settle,
  ) {
    super(context, index, settle);
  }

  adopt(index: number): Adopted {
    const socket = new NativeTcpSocket(this.context, index);
    return { socket, attach: () => this.accept(socket) };
  }
}

import {
  type TcpAccept,
  type TcpConnectOptions,
  type TcpListener,
  type TcpListenOptions,
  TcpOpenError,
  type TcpSocket,
  type TcpSocketHandler,
  type TcpSockets,
} from '../tcp-socket.js';
import type { NativeBinding } from './binding.js';
import { guarded } from './connection.js';
import { type EngineContext, freeTcpNumber } from './context.js';
import { connectSecure, listenSecureAlone } from './secure.js';
import { NativeTcpListener } from './tcp-listener.js';
import { NativeTcpSocket } from './tcp-socket.js';

const defaults = { connectTimeout: 10_000, keepAlive: 60_000, backlog: 511 };

/** TCP of the engine. */
export function createTcpSockets(context: EngineContext, binding: NativeBinding): TcpSockets {
  return {
    connect: (options, handler, signal) => connect(context, options, handler, signal),
    listen: (options, accept) => listen(context, options, accept),
    connectSecure: (options, handler, signal) => connectSecure(context, options, handler, signal),
    listenSecure: (options, accept) => listenSecureAlone(context, binding, options, accept),
  };
}

function connect(
  context: EngineContext,
  options: TcpConnectOptions,
  handler: TcpSocketHandler,
  signal: AbortSignal,
): Promise<TcpSocket> {
  if (!context.open) return Promise.reject(new TcpOpenError('other', 'ECANCELED'));
  if (signal.aborted) return Promise.reject(new TcpOpenError('aborted', 'ECANCELED'));
  return new Promise((resolve, reject) => {
    const index = freeTcpNumber(context);
    const aborted = (): void => socket.abandon('aborted', 'ECANCELED');
    const socket = new NativeTcpSocket(context, index, (error) => {
      signal.removeEventListener('abort', aborted);
      if (error) reject(error);
      else resolve(socket);
    });
    socket.handler = handler;
    const {
      remote,
      local,
      connectTimeout = defaults.connectTimeout,
      keepAlive = defaults.keepAlive,
    } = options;
    context.submission.flush();
    try {
      context.native.connectTcp(index, { remote, ...(local && { local }), connectTimeout, keepAlive });
    } catch {
      reject(new TcpOpenError('other', 'EINVAL'));
      return;
    }
    context.tcpSockets.set(index, socket);
    context.hold(1);
    signal.addEventListener('abort', aborted);
  });
}

function listen(context: EngineContext, options: TcpListenOptions, accept: TcpAccept): Promise<TcpListener> {
  if (!context.open) return Promise.reject(new TcpOpenError('other', 'ECANCELED'));
  return new Promise((resolve, reject) => {
    const index = freeTcpNumber(context);
    const listener = new NativeTcpListener(context, index, accept, (error) => {
      if (error) reject(error);
      else resolve(listener);
    });
    const { local, backlog = defaults.backlog, keepAlive = defaults.keepAlive } = options;
    context.submission.flush();
    try {
      context.native.listenTcp(index, { local, backlog, keepAlive });
    } catch {
      reject(new TcpOpenError('other', 'EINVAL'));
      return;
    }
    context.tcpListeners.set(index, listener);
    context.hold(1);
  });
}

/** The engine is gone, and with it all that is still open here. */
export function loseTcp(context: EngineContext): void {
  for (const listener of [...context.tcpListeners.values()]) guarded(() => listener.gone());
  for (const socket of context.tcpSockets.values()) {
    guarded(() => socket.over({ kind: 'reset', by: 'local', errno: 'ECANCELED' }));
  }
}

import type { SocketAddress } from '../address.js';
import type { QuicAccept, QuicConnection } from '../connection.js';
import {
  QuicConfigurationError,
  QuicConnectError,
  type QuicConnectFailure,
  type QuicConnectOptions,
  type QuicListener,
  type QuicListenOptions,
  type QuicTransportOptions,
  type VirtualPacketPath,
} from '../engine.js';
import type { NativeListenSettings } from './binding.js';
import type { NativeConnection } from './connection.js';
import { type EngineContext, freeIndex } from './context.js';
import { errnoName } from './errno.js';
import { nativeCertificate, pemBuffer } from './pem.js';
import { operation } from './records.js';
import type { GroupPlace } from './shard.js';

const defaultDatagramSendBuffer = 1024 * 1024;

/** How many handshakes there may be, with what holds where nothing is said. */
export function handshakeLimits(
  options: QuicListenOptions,
): Required<Pick<QuicListenOptions, 'maxHandshakes' | 'retryAbove'>> {
  return { maxHandshakes: options.maxHandshakes ?? 4096, retryAbove: options.retryAbove ?? 256 };
}

/** A listener or a client's endpoint, as records find it. */
export interface Endpoint {
  readonly datagramSendBuffer: number;
  /** Of the peer's streams. */
  readonly firstCredit: number;
  /** The engine has opened the socket, or could not. */
  listening(errno: number, local: SocketAddress, receiveBuffer: number): void;
  failed(failure: QuicConnectFailure): void;
  /** A connection is up; attaches its handler. */
  up(connection: NativeConnection): void;
  transmit(bytes: Uint8Array, start: number, end: number, to: SocketAddress): void;
  rebind(): Promise<void>;
  rebound(errno: number, local: SocketAddress): void;
  /** Nothing of it is left in the engine. */
  closed(): void;
}

function datagramSendBuffer(transport: QuicTransportOptions | undefined): number {
  return transport?.datagramSendBuffer ?? defaultDatagramSendBuffer;
}

/** Runs what may be refused for its options. */
export function configure<T>(task: () => T, refused?: () => void): T {
  try {
    return task();
  } catch (error) {
    refused?.();
    throw new QuicConfigurationError(error instanceof Error ? error.message : String(error));
  }
}

function attach(context: EngineContext, index: number, path: VirtualPacketPath | undefined): void {
  path?.attach((bytes, start, end, from) => {
    context.submission.packet(operation.deliver, index, from, bytes, start, end);
  });
}

/** Puts the endpoint into the table and returns what takes it out again. */
function enter(context: EngineContext, index: number, endpoint: Endpoint): () => void {
  context.endpoints[index] = endpoint;
  context.hold(1);
  return () => {
    if (context.endpoints[index] !== endpoint) return;
    context.endpoints[index] = undefined;
    context.freedEndpoints.push(index);
    context.native.forgetEndpoint(index);
    context.hold(-1);
  };
}

const cannotRebind = (): Promise<void> => Promise.reject(new Error('only a client changes its address'));

/** `QuicEngine.listen`. */
export async function listen(
  context: EngineContext,
  options: QuicListenOptions,
  accept: QuicAccept,
  place?: GroupPlace,
): Promise<QuicListener> {
  if (!context.open) throw new QuicConfigurationError('the engine is closed');
  const index = freeIndex(context.endpoints, context.freedEndpoints);
  const { tls, path, firstCredit = 0 } = options;
  context.submission.flush();
  configure(
    () => {
      const settings: NativeListenSettings = {
        local: path?.localAddress ?? options.local,
        dualStack: options.dualStack ?? false,
        certificates: tls.certificates.map(nativeCertificate),
        alpn: tls.alpn,
        ...(tls.clientCertificates && { clientCa: pemBuffer(tls.clientCertificates.ca) }),
        clientCertificateRequired: tls.clientCertificates?.mode === 'required',
        ...(tls.keyLogFile !== undefined && { keyLogFile: tls.keyLogFile }),
        transport: { congestion: context.congestion, ...options.transport },
        ...handshakeLimits(options),
        handshakeTimeout: options.handshakeTimeout ?? 10_000,
        ...(options.greeting && { greeting: Buffer.from(options.greeting) }),
        firstCredit,
        ...(options.secret && { secret: Buffer.from(options.secret) }),
        ...(path && { virtualPacketSize: path.maxPacketSize }),
      };
      if (place) context.native.listen(index, settings, place.group, place.index);
      else context.native.listen(index, settings);
    },
    () => context.freedEndpoints.push(index),
  );
  return new Promise((resolve, reject) => {
    let local = options.local;
    let receiveBuffer: number | undefined;
    let closing: Promise<void> | undefined;
    let whenClosed: (() => void) | undefined;
    let gone = false;
    const listener: QuicListener = {
      get localAddress() {
        return local;
      },
      get receiveBuffer() {
        return receiveBuffer;
      },
      setCertificates(certificates) {
        configure(() => context.native.setCertificates(index, certificates.map(nativeCertificate)));
      },
      statistics: () => context.native.listenerStatistics(index),
      stopAccepting() {
        if (!gone) context.submission.simple(operation.stopAccepting, index);
      },
      close(code, reason) {
        closing ??= new Promise((done) => {
          if (gone) return done();
          whenClosed = done;
          context.submission.close(operation.closeEndpoint, index, code, reason);
        });
        return closing;
      },
    };
    const remove = enter(context, index, {
      datagramSendBuffer: datagramSendBuffer(options.transport),
      firstCredit,
      listening(errno, address, buffer) {
        if (errno === 0) {
          local = address;
          if (!path) receiveBuffer = buffer;
          attach(context, index, path);
          resolve(listener);
          return;
        }
        gone = true;
        remove();
        place?.gone();
        const { address: host, port } = options.local;
        reject(new QuicConfigurationError(`cannot listen on ${host} port ${port}`, errnoName(errno)));
      },
      failed: () => undefined,
      up(connection) {
        connection.handler = accept(connection);
      },
      transmit: (bytes, start, end, to) => path?.transmit(bytes, start, end, to),
      rebind: cannotRebind,
      rebound: () => undefined,
      closed() {
        gone = true;
        remove();
        place?.gone();
        path?.closed();
        whenClosed?.();
      },
    });
  });
}

/** `QuicEngine.connect`. */
export async function connect(
  context: EngineContext,
  options: QuicConnectOptions,
  accept: QuicAccept,
  signal: AbortSignal,
): Promise<QuicConnection> {
  if (!context.open) throw new QuicConnectError({ kind: 'engine', reason: 'the engine is closed' });
  if (signal.aborted) throw new QuicConnectError({ kind: 'aborted' });
  const index = freeIndex(context.endpoints, context.freedEndpoints);
  const { tls, path } = options;
  context.submission.flush();
  const { trust } = tls;
  configure(
    () =>
      context.native.connect(index, {
        remote: options.remote,
        serverName: tls.serverName,
        alpn: tls.alpn,
        trust: trust.mode,
        ...(trust.mode === 'ca' && { ca: pemBuffer(trust.ca) }),
        ...(trust.mode === 'pin' && { pins: trust.pins }),
        ...(tls.certificate && { certificate: nativeCertificate(tls.certificate) }),
        ...(tls.keyLogFile !== undefined && { keyLogFile: tls.keyLogFile }),
        transport: { congestion: context.congestion, ...options.transport },
        handshakeTimeout: options.handshakeTimeout ?? 10_000,
        ...(path && { virtualPacketSize: path.maxPacketSize, virtualLocal: path.localAddress }),
      }),
    () => context.freedEndpoints.push(index),
  );
  return new Promise((resolve, reject) => {
    let settled = false;
    let current: NativeConnection | undefined;
    let rebinding: { resolve: () => void; reject: (error: Error) => void } | undefined;
    const settle = (): boolean => {
      if (settled) return false;
      settled = true;
      signal.removeEventListener('abort', abort);
      return true;
    };
    const abort = (): void => {
      if (!settle()) return;
      context.submission.simple(operation.abortConnect, index);
      reject(new QuicConnectError({ kind: 'aborted' }));
    };
    signal.addEventListener('abort', abort);
    const remove = enter(context, index, {
      datagramSendBuffer: datagramSendBuffer(options.transport),
      firstCredit: 0,
      listening: () => undefined,
      failed(failure) {
        if (settle()) reject(new QuicConnectError(failure));
      },
      up(connection) {
        // After an abort the connection may come up once more before it is closed; nobody is told.
        if (!settle()) return;
        current = connection;
        connection.handler = accept(connection);
        resolve(connection);
      },
      transmit: (bytes, start, end, to) => path?.transmit(bytes, start, end, to),
      rebind() {
        if (rebinding) return Promise.reject(new Error('the address is being changed'));
        return new Promise((done, failed) => {
          rebinding = { resolve: done, reject: failed };
          context.submission.simple(operation.rebind, index);
        });
      },
      rebound(errno, local) {
        const waiting = rebinding;
        rebinding = undefined;
        if (errno !== 0) return waiting?.reject(new Error(`no other address: ${errnoName(errno)}`));
        if (current) current.localAddress = local;
        waiting?.resolve();
      },
      closed() {
        remove();
        path?.closed();
        rebinding?.reject(new Error('the connection is closed'));
        if (settle()) reject(new QuicConnectError({ kind: 'engine', reason: 'the engine was closed' }));
      },
    });
    attach(context, index, path);
  });
}

import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { BautaError } from '../../protocol/bauta-error.js';
import type { SocketAddress } from '../address.js';
import type { ByteSpliceStatistics } from '../byte-splice.js';
import type { DatagramSpliceStatistics } from '../datagram-splice.js';
import type { QuicTransportOptions } from '../engine.js';
import type { TcpSocketStatistics } from '../tcp-socket.js';

/** PEM bytes, as the native side takes them. */
export interface NativeCertificate {
  readonly cert: Buffer;
  readonly key: Buffer;
}

export interface NativeListenSettings {
  readonly local: SocketAddress;
  readonly dualStack: boolean;
  readonly certificates: readonly NativeCertificate[];
  readonly alpn: readonly string[];
  readonly clientCa?: Buffer;
  readonly clientCertificateRequired: boolean;
  readonly keyLogFile?: string;
  readonly transport: QuicTransportOptions;
  readonly maxHandshakes: number;
  readonly retryAbove: number;
  readonly handshakeTimeout: number;
  readonly greeting?: Buffer;
  readonly firstCredit: number;
  readonly secret?: Buffer;
  readonly virtualPacketSize?: number;
}

export interface NativeConnectSettings {
  readonly remote: SocketAddress;
  readonly serverName: string;
  readonly alpn: readonly string[];
  readonly trust: string;
  readonly ca?: Buffer;
  readonly pins?: readonly string[];
  readonly certificate?: NativeCertificate;
  readonly keyLogFile?: string;
  readonly transport: QuicTransportOptions;
  readonly handshakeTimeout: number;
  readonly virtualPacketSize?: number;
  readonly virtualLocal?: SocketAddress;
}

export interface NativeTcpConnectSettings {
  readonly remote: SocketAddress;
  readonly local?: SocketAddress;
  readonly connectTimeout: number;
  readonly keepAlive: number;
}

export interface NativeTcpListenSettings {
  readonly local: SocketAddress;
  readonly backlog: number;
  readonly keepAlive: number;
}

export interface NativeSecureConnectSettings {
  readonly remote: SocketAddress;
  readonly local?: SocketAddress;
  readonly keepAlive: number;
  readonly handshakeTimeout: number;
  readonly serverName: string;
  readonly alpn: readonly string[];
  readonly trust: string;
  readonly ca?: Buffer;
  readonly pins?: readonly string[];
  readonly certificate?: NativeCertificate;
  readonly keyLogFile?: string;
}

export interface NativeSecureListenSettings {
  readonly certificates: readonly NativeCertificate[];
  readonly alpn: readonly string[];
  readonly clientCa?: Buffer;
  readonly clientCertificateRequired: boolean;
  readonly keyLogFile?: string;
  readonly handshakeTimeout: number;
  readonly maxHandshakes: number;
  readonly maxHandshakesPerAddress: number;
  readonly maxConnections: number;
  readonly greeting?: { readonly protocol: string; readonly bytes: Buffer };
}

export interface NativeTcpStatistics extends TcpSocketStatistics {
  /** What a splice has moved towards the socket, and towards the stream. */
  readonly splicedIn: number;
  readonly splicedOut: number;
}

/** One of two streams to be joined. */
export interface NativeStreamToJoin {
  readonly connection: number;
  readonly stream: number;
  /** Bytes that were told. */
  readonly received: number;
  /** 0 without capsules. */
  readonly capsule: number;
  readonly prefix: Uint8Array;
}

/** One engine: a thread of its own with its sockets. Methods throw on what cannot be used. */
export interface NativeEngine {
  reference(alive: boolean): void;
  submit(arena: Uint8Array, length: number): void;
  drain(arena: Uint8Array, offset: number): number;
  listen(endpoint: number, settings: NativeListenSettings, group?: NativeListenerGroup, shard?: number): void;
  setCertificates(endpoint: number, certificates: readonly NativeCertificate[]): void;
  connect(endpoint: number, settings: NativeConnectSettings): void;
  /** 0 or the number of an error; an empty address is none; `port` is 1 for one with others beside it, 2 for one of those. */
  openSocket(
    socket: number,
    remote: string,
    remotePort: number,
    local: string,
    localPort: number,
    bufferSize: number,
    port: number,
  ): number;
  socketAddress(socket: number): SocketAddress | null;
  connectTcp(socket: number, settings: NativeTcpConnectSettings): void;
  listenTcp(listener: number, settings: NativeTcpListenSettings): void;
  connectSecure(socket: number, settings: NativeSecureConnectSettings): void;
  listenSecure(
    listener: number,
    settings: NativeSecureListenSettings,
    group: NativeTcpListenerGroup,
    shard: number,
  ): void;
  setSecureCertificates(listener: number, certificates: readonly NativeCertificate[]): void;
  secureListenerStatistics(listener: number): { handshakes: number; refused: number };
  forgetSecureListener(listener: number): void;
  listenerStatistics(endpoint: number): { handshakes: number; refused: number; retries: number };
  /** Writes the six numbers of `UdpSocketStatistics`, in its order. */
  socketStatistics(socket: number, into: Float64Array): void;
  tcpStatistics(socket: number): NativeTcpStatistics;
  spliceStatistics(socket: number): DatagramSpliceStatistics;
  prepareJoin(join: number, near: number, nearNumber: number, far: number, farNumber: number): void;
  joinStatistics(join: number): DatagramSpliceStatistics;
  forgetJoin(join: number): void;
  /** Behind what was submitted before. */
  joinStreams(join: number, near: NativeStreamToJoin, far: NativeStreamToJoin): void;
  streamJoinStatistics(join: number): ByteSpliceStatistics;
  forgetStreamJoin(join: number): void;
  forgetEndpoint(endpoint: number): void;
  forgetSocket(socket: number): void;
  forgetTcp(socket: number): void;
}

/** The sockets of a listener that several engines share, bound; `errno` is 0 unless they could not be. */
export interface NativeListenerGroup {
  readonly errno: number;
  /** How many there are: one where the system cannot steer packets to more. */
  readonly shards: number;
  /** Once no engine has an endpoint here any more. */
  close(): void;
}

/** Listening sockets on one port, for several engines; `errno` is 0 unless they could not be. */
export interface NativeTcpListenerGroup {
  readonly errno: number;
  /** How many there are: one where the system cannot spread connections over more. */
  readonly shards: number;
  /** Closes those that no engine has taken. */
  close(): void;
}

export interface NativeBinding {
  readonly NativeEngine: new (onCompletions: () => void) => NativeEngine;
  readonly ListenerGroup: new (
    local: SocketAddress,
    dualStack: boolean,
    shards: number,
  ) => NativeListenerGroup;
  readonly TcpListenerGroup: new (
    local: SocketAddress,
    dualStack: boolean,
    backlog: number,
    keepAlive: number,
    shards: number,
  ) => NativeTcpListenerGroup;
  selfSigned(names: string[], days: number, key?: string): { cert: string; key: string };
  spkiPin(certificate: Buffer): string;
}

/** Loads the engine that was built for this platform; throws `BautaError` ERR_NATIVE_ENGINE. */
export function loadBinding(): NativeBinding {
  const name = `bauta.${process.platform}-${process.arch}.node`;
  const path = fileURLToPath(new URL(`../../../../native/${name}`, import.meta.url));
  if (!existsSync(path)) {
    throw new BautaError('ERR_NATIVE_ENGINE', { detail: `native/${name} is missing` });
  }
  try {
    return createRequire(import.meta.url)(path) as NativeBinding;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new BautaError('ERR_NATIVE_ENGINE', { detail: reason, cause });
  }
}

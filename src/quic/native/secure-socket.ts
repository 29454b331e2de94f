import type { EngineThread } from '../engine-thread.js';
import type { SecureSocket } from '../secure-socket.js';
import type { EngineContext } from './context.js';
import type { RecordReader } from './record-reader.js';
import { operation } from './records.js';
import { NativeTcpSocket, type Settle } from './tcp-socket.js';

/** What a TLS handshake has settled. */
export interface SettledTls {
  readonly alpn: string | undefined;
  readonly serverName: string | undefined;
  readonly peerCertificates: readonly Uint8Array[];
  readonly greeted: boolean;
}

export function readSettledTls(reader: RecordReader): SettledTls {
  const optional = (): string | undefined => {
    const there = reader.word() !== 0;
    const text = reader.text();
    return there ? text : undefined;
  };
  return {
    alpn: optional(),
    serverName: optional(),
    peerCertificates: Array.from({ length: reader.word() }, () => reader.bytes()),
    greeted: reader.word() !== 0,
  };
}

/** The face of one TCP connection with TLS in the engine. */
export class NativeSecureSocket extends NativeTcpSocket implements SecureSocket {
  alpn: string | undefined;
  serverName: string | undefined;
  peerCertificates: readonly Uint8Array[] = [];
  greeted = false;
  readonly thread?: EngineThread;

  constructor(context: EngineContext, index: number, settle?: Settle) {
    super(context, index, settle);
    if (context.thread) this.thread = context.thread;
  }

  hangUp(): void {
    this.endBy(operation.tcpHangUp);
  }

  settled(tls: SettledTls): void {
    this.alpn = tls.alpn;
    this.serverName = tls.serverName;
    this.peerCertificates = tls.peerCertificates;
    this.greeted = tls.greeted;
  }
}

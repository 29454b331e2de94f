import type { SecureAccept, SecureListener } from '../secure-socket.js';
import type { CertificateAndKey } from '../tls.js';
import type { EngineContext } from './context.js';
import { configure } from './endpoints.js';
import { type Adopted, EngineListener } from './engine-listener.js';
import { nativeCertificate } from './pem.js';
import { operation } from './records.js';
import { NativeSecureSocket, readSettledTls } from './secure-socket.js';
import type { Settle } from './tcp-socket.js';

/** The face of one TCP listener with TLS in the engine. */
export class NativeSecureListener extends EngineListener implements SecureListener {
  #stopped = false;
  #last: { readonly handshakes: number; readonly refused: number } | undefined;

  constructor(
    context: EngineContext,
    index: number,
    private readonly accept: SecureAccept,
    settle: Settle,
  ) {
    super(context, index, settle);
  }

  setCertificates(certificates: readonly CertificateAndKey[]): void {
    const pairs = certificates.map(nativeCertificate);
    configure(() => this.context.native.setSecureCertificates(this.index, pairs));
  }

  statistics(): { readonly handshakes: number; readonly refused: number } {
    return this.#last ?? this.context.native.secureListenerStatistics(this.index);
  }

  stopAccepting(): void {
    if (this.#stopped || !this.context.tcpListeners.has(this.index)) return;
    this.#stopped = true;
    this.context.submission.simple(operation.tcpStopAccepting, this.index);
  }

  adopt(index: number): Adopted {
    const { context } = this;
    const socket = new NativeSecureSocket(context, index);
    socket.settled(readSettledTls(context.reader));
    return { socket, attach: () => this.accept(socket) };
  }

  protected override forgotten(): void {
    this.#last = { ...this.statistics(), handshakes: 0 };
    this.context.native.forgetSecureListener(this.index);
  }
}

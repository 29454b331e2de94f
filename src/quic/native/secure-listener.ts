import type { SocketAddress } from '../address.js';
import type { SecureAccept, SecureListener } from '../secure-socket.js';
import { TcpOpenError } from '../tcp-socket.js';
import type { CertificateAndKey } from '../tls.js';
import type { EngineContext } from './context.js';
import { configure } from './endpoints.js';
import { errnoName, tcpProblem } from './errno.js';
import { nativeCertificate } from './pem.js';
import { operation } from './records.js';
import { NativeSecureSocket, readSettledTls } from './secure-socket.js';
import type { Adopted, EngineListener } from './tcp-listener.js';
import type { Settle } from './tcp-socket.js';

/** The face of one TCP listener with TLS in the engine. */
export class NativeSecureListener implements SecureListener, EngineListener {
  localAddress: SocketAddress = { address: '0.0.0.0', port: 0 };
  #settle: Settle | undefined;
  #stopped = false;
  #last: { readonly handshakes: number; readonly refused: number } | undefined;

  constructor(
    private readonly context: EngineContext,
    private readonly index: number,
    private readonly accept: SecureAccept,
    settle: Settle,
  ) {
    this.#settle = settle;
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
    const { context } = this;
    const socket = new NativeSecureSocket(context, index);
    socket.settled(readSettledTls(context.reader));
    return { socket, attach: () => this.accept(socket) };
  }

  gone(): void {
    if (!this.context.tcpListeners.delete(this.index)) return;
    this.#last = { ...this.statistics(), handshakes: 0 };
    this.context.native.forgetSecureListener(this.index);
    this.context.hold(-1);
    const settle = this.#settle;
    this.#settle = undefined;
    settle?.(new TcpOpenError('other', 'ECANCELED'));
  }
}

/** One run of bytes through a subject. */
export interface Transfer {
  readonly megabytesPerSecond: number;
  /** CPU seconds for each GB (1e9 bytes) of the process under test, and of the client. */
  readonly serverSecondsPerGb: number;
  readonly clientSecondsPerGb: number;
  /** Cores that the process under test used. */
  readonly serverCores: number;
  /** Cores that others used meanwhile: neither it, nor the client, nor the target. */
  readonly foreignCores: number;
}

export type Transport = 'plain' | 'h3' | 'h2' | 'h1';

export interface TransferPlan {
  readonly transport: Transport;
  readonly direction: 'up' | 'down';
  readonly streams: number;
  /** Of the process under test, 127.0.0.1:PORT. */
  readonly address: string;
  readonly pid: number;
  /** Pin of its certificate. */
  readonly pin: string;
  /** Of sink and source, 127.0.0.1:PORT. */
  readonly target: string;
  readonly targetPid: number;
  readonly seconds: number;
  readonly warmUp: number;
}

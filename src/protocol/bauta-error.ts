import { type ErrorCode, failures } from './failures.js';

export interface BautaErrorDetail {
  /** Text that says more than the table's sentence. */
  readonly detail?: string;
  /** HTTP status that the proxy answered with. */
  readonly status?: number;
  /** The answer's Proxy-Status field. */
  readonly proxyStatus?: string;
  /** Index of the hop that failed, nearest first. */
  readonly hop?: number;
  readonly hint?: string;
  readonly cause?: unknown;
}

/** Every failure that bauta tells a program of; `code` is one of the error table. */
export class BautaError extends Error {
  override readonly name = 'BautaError';
  readonly status?: number;
  readonly proxyStatus?: string;
  readonly hop?: number;
  readonly hint?: string;

  constructor(
    readonly code: ErrorCode,
    detail: BautaErrorDetail = {},
  ) {
    const sentence = failures[code].sentence;
    super(
      detail.detail ? `${sentence} (${detail.detail})` : sentence,
      detail.cause === undefined ? {} : { cause: detail.cause },
    );
    if (detail.status !== undefined) this.status = detail.status;
    if (detail.proxyStatus !== undefined) this.proxyStatus = detail.proxyStatus;
    if (detail.hop !== undefined) this.hop = detail.hop;
    const hint = detail.hint ?? failures[code].hint;
    if (hint !== undefined) this.hint = hint;
  }
}

import type { LossReason } from '../http/tunnel-stream.js';
import type { HttpVersion } from '../protocol/reset-reason.js';

/** What a tunnel can need that a connection may not give. */
export type MissingAbility = 'extended-connect' | 'datagrams';

/** How one version failed in a race. */
export interface FailedAttempt {
  readonly version: HttpVersion;
  readonly error: unknown;
}

/** Every failure that the owner, the pool and the racer name themselves; times in milliseconds. */
export type UpstreamFailure =
  /** No room for another stream: `by` tells whose limit it was, `limit` what it is where that is known. */
  | {
      readonly kind: 'stream_limit';
      readonly by: 'here' | 'peer';
      readonly streams: number;
      readonly limit: number | undefined;
    }
  /** The connection ended without this side's doing. */
  | {
      readonly kind: 'peer_closed';
      readonly reason: LossReason;
      readonly code: number | undefined;
      readonly detail: string;
    }
  /** The stream was reset before its acquire was finished. */
  | { readonly kind: 'stream_reset'; readonly code: number | undefined; readonly detail: string }
  /** The owner or the pool was stopped here. */
  | { readonly kind: 'stopped'; readonly detail: string }
  /** The peer takes no new streams on this connection. */
  | { readonly kind: 'draining' }
  /** The session was over before its stream was open. */
  | { readonly kind: 'session_gone' }
  /** The slot that a checkout held was given back, or its time was up. */
  | { readonly kind: 'checkout_over' }
  | { readonly kind: 'timeout'; readonly of: 'dial' | 'checkout' | 'acquire'; readonly after: number }
  | { readonly kind: 'aborted'; readonly of: 'dial' | 'checkout' | 'acquire' }
  /** Every connection is full, no further one is allowed, and so many wait already. */
  | { readonly kind: 'pool_exhausted'; readonly key: string; readonly waiting: number }
  | { readonly kind: 'invalid_option'; readonly option: string; readonly value: unknown }
  /** The connection came up and cannot carry the tunnel. */
  | { readonly kind: 'unsuitable'; readonly version: HttpVersion; readonly missing: MissingAbility }
  /** The path was dead: a health check found no answer. */
  | { readonly kind: 'unresponsive'; readonly after: number }
  /** No version came up. */
  | { readonly kind: 'all_failed'; readonly attempts: readonly FailedAttempt[] };

export type UpstreamFailureKind = UpstreamFailure['kind'];

function sentence(failure: UpstreamFailure): string {
  switch (failure.kind) {
    case 'stream_limit':
      return failure.by === 'peer'
        ? 'the peer refused another stream'
        : `${failure.streams} streams, ${failure.limit ?? 'no more'} allowed`;
    case 'peer_closed':
      return `the connection was lost: ${failure.reason}${failure.detail && `, ${failure.detail}`}`;
    case 'stream_reset':
      return `the stream was reset: ${failure.detail}`;
    case 'stopped':
      return `stopped${failure.detail && `: ${failure.detail}`}`;
    case 'draining':
      return 'the peer takes no new streams on this connection';
    case 'session_gone':
      return 'the session is over';
    case 'checkout_over':
      return 'the checkout is over';
    case 'timeout':
      return `the ${failure.of} took longer than ${failure.after} ms`;
    case 'aborted':
      return `the ${failure.of} was aborted`;
    case 'pool_exhausted':
      return `${failure.waiting} wait for a connection already`;
    case 'invalid_option':
      return `${failure.option} cannot be ${String(failure.value)}`;
    case 'unsuitable':
      return `${failure.version} is up but lacks ${failure.missing}`;
    case 'unresponsive':
      return `no answer to a health check within ${failure.after} ms`;
    case 'all_failed':
      return failure.attempts
        .map(({ version, error }) => `${version}: ${error instanceof Error ? error.message : String(error)}`)
        .join('; ');
  }
}

/** A failure with its kind; `bautaErrorOf` maps it for programs that do not know this room. */
export class UpstreamError extends Error {
  override readonly name = 'UpstreamError';
  constructor(
    readonly failure: UpstreamFailure,
    cause?: unknown,
  ) {
    super(sentence(failure), cause === undefined ? {} : { cause });
  }

  get kind(): UpstreamFailureKind {
    return this.failure.kind;
  }
}

/** The kind of an error of this room; undefined for any other. */
export function failureKind(error: unknown): UpstreamFailureKind | undefined {
  return error instanceof UpstreamError ? error.kind : undefined;
}

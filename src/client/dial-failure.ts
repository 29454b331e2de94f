import { mapConnectError } from '../http/connect-failure.js';
import { BautaError } from '../protocol/bauta-error.js';
import { mostTelling } from '../protocol/most-telling.js';
import type { HttpVersion } from '../protocol/reset-reason.js';
import { QuicConnectError } from '../quic/engine.js';
import { bautaErrorOf } from '../upstream/bauta-error-of.js';
import { UpstreamError } from '../upstream/upstream-error.js';

/** Whatever a dial rejected with, as an error of the table. */
export function dialError(error: unknown): BautaError {
  if (error instanceof BautaError) return error;
  if (error instanceof QuicConnectError) return mapConnectError(error);
  if (error instanceof UpstreamError) return bautaErrorOf(error);
  // One error for each address.
  if (error instanceof AggregateError) return combined(error.errors.map((one) => ['', dialError(one)]));
  return new BautaError('ERR_INTERNAL', {
    detail: error instanceof Error ? error.message : String(error),
    cause: error,
  });
}

function combined(reasons: readonly (readonly [who: string, error: BautaError])[]): BautaError {
  const errors = reasons.map(([, error]) => error);
  const best = mostTelling(errors);
  if (!best) return new BautaError('ERR_INTERNAL', { detail: 'nothing was tried' });
  const byMessage = new Map<string, string[]>();
  for (const [who, error] of reasons) {
    const others = byMessage.get(error.message);
    if (others) others.push(who);
    else byMessage.set(error.message, [who]);
  }
  if (byMessage.size === 1) return best;
  const detail = [...byMessage]
    .map(([message, who]) =>
      [who.filter((name) => name).join(', '), message].filter((text) => text).join(': '),
    )
    .join(' ');
  return new BautaError(best.code, {
    detail,
    cause: new AggregateError(errors),
    ...(best.status === undefined ? {} : { status: best.status }),
    ...(best.proxyStatus === undefined ? {} : { proxyStatus: best.proxyStatus }),
    ...(best.hop === undefined ? {} : { hop: best.hop }),
    ...(best.hint === undefined ? {} : { hint: best.hint }),
  });
}

/** All addresses failed in one version. */
export function allAddressesFailed(
  failures: readonly { readonly address: string; readonly error: BautaError }[],
): BautaError {
  return combined(failures.map(({ address, error }) => [address, error]));
}

/** All versions failed: one error with the most telling code and each version's reason. */
export function allVersionsFailed(
  failures: readonly { readonly version: HttpVersion; readonly error: BautaError }[],
): BautaError {
  return combined(failures.map(({ version, error }) => [version, error]));
}

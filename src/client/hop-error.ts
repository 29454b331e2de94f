import { BautaError } from '../protocol/bauta-error.js';
import { failures } from '../protocol/failures.js';
import { dialError } from './dial-failure.js';

/** The error with the index of the hop where it happened; one that has an index keeps it. */
export function atHop(error: unknown, hop: number | undefined): BautaError {
  const told = dialError(error);
  if (hop === undefined || told.hop !== undefined) return told;
  const { code, message, status, proxyStatus, hint, cause } = told;
  const { sentence } = failures[code];
  const detail = message.startsWith(`${sentence} (`) ? message.slice(sentence.length + 2, -1) : '';
  return new BautaError(code, {
    hop,
    detail: detail ? `hop ${hop + 1}: ${detail}` : `hop ${hop + 1}`,
    ...(status === undefined ? {} : { status }),
    ...(proxyStatus === undefined ? {} : { proxyStatus }),
    ...(hint === undefined ? {} : { hint }),
    ...(cause === undefined ? {} : { cause }),
  });
}

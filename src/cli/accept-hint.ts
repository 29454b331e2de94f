import { parseAccessLink, redactAccessLink } from '../protocol/access-link.js';
import { BautaError } from '../protocol/bauta-error.js';
import { failures } from '../protocol/failures.js';

/**
 * The error, with the command that would accept the certificate where only its issuer is unknown: `command`, the
 * link with the pin, and `after`.
 */
export function withAcceptingCommand(error: unknown, link: string, command: string, after = ''): unknown {
  if (!(error instanceof BautaError) || error.code !== 'ERR_CERTIFICATE_UNKNOWN') return error;
  const pin = /sha256-[A-Za-z0-9_-]{43}/.exec(error.message)?.[0];
  if (pin === undefined) return error;
  const accepting = redactAccessLink({ ...parseAccessLink(link), pins: [pin] });
  const detail = error.message.slice(failures[error.code].sentence.length).replace(/^ \(|\)$/g, '');
  return new BautaError(error.code, {
    detail,
    hint: `If its operator confirms this pin: bauta ${command} '${accepting}'${after}`,
    cause: error,
  });
}

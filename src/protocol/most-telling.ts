import type { BautaError } from './bauta-error.js';
import type { ErrorCode } from './failures.js';

/** Most telling first: what a person can act on beats what merely did not answer. */
const telling: readonly ErrorCode[] = [
  'ERR_PIN_MISMATCH',
  'ERR_CERTIFICATE_NAME',
  'ERR_CERTIFICATE_EXPIRED',
  'ERR_CERTIFICATE_UNKNOWN',
  'ERR_CREDENTIALS',
  'ERR_TLS',
  'ERR_CERTIFICATE_FILE',
  'ERR_PROXY_NAME',
  'ERR_UDP_BLOCKED',
  'ERR_PROXY_PROTOCOL',
  'ERR_VERSION_UNSUPPORTED',
  'ERR_NATIVE_ENGINE',
  'ERR_TOO_MANY',
  'ERR_PROXY_UNREACHABLE',
  'ERR_PROXY_TIMEOUT',
];

function rank({ code }: BautaError): number {
  const index = telling.indexOf(code);
  return index < 0 ? telling.length : index;
}

/** Of several errors the one that tells most, the first of equals; undefined of none. */
export function mostTelling(errors: readonly BautaError[]): BautaError | undefined {
  let best: BautaError | undefined;
  for (const error of errors) if (!best || rank(error) < rank(best)) best = error;
  return best;
}

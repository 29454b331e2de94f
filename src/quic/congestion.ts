import { BautaError } from '../protocol/bauta-error.js';

/**
 * How the rate of a QUIC connection is found: `cubic` (RFC 9438) halves it, nearly, with every loss, as TCP does;
 * `bbr` goes by the rate and the round trip that it measures, and takes a loss now and then for no reason.
 */
export const congestionControls = ['cubic', 'bbr'] as const;

export type CongestionControl = (typeof congestionControls)[number];

/** The one of that name, or the default; `option` is what gave it. Throws `ERR_USAGE`. */
export function congestionControl(
  name: string = congestionControls[0],
  option = 'congestion',
): CongestionControl {
  const found = congestionControls.find((control) => control === name);
  if (found) return found;
  throw new BautaError('ERR_USAGE', {
    detail: `${option} ${name} is none of ${congestionControls.join(', ')}`,
  });
}

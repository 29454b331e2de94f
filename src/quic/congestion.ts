/**
 * How the rate of a QUIC connection is found: `cubic` (RFC 9438) halves it, nearly, with every loss, as TCP does;
 * `bbr` goes by the rate and the round trip that it measures, and takes a loss now and then for no reason.
 */
export const congestionControls = ['cubic', 'bbr'] as const;

export type CongestionControl = (typeof congestionControls)[number];

export function isCongestionControl(name: string): name is CongestionControl {
  return congestionControls.some((control) => control === name);
}

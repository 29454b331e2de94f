import type { Owner } from './owner.js';
import type { MissingAbility } from './upstream-error.js';

/** What a tunnel asks of a connection. */
export interface TunnelNeeds {
  /** Extended CONNECT, or Upgrade on HTTP/1.1; a classic CONNECT needs none. */
  readonly extendedConnect: boolean;
  /** HTTP datagrams as QUIC DATAGRAM frames, on HTTP/3; elsewhere they travel as capsules. */
  readonly datagrams: boolean;
}

/** What the connection lacks; undefined when it can carry the tunnel. */
export function missingAbility(owner: Owner, needs: TunnelNeeds): MissingAbility | undefined {
  const { settings, version } = owner;
  if (needs.extendedConnect && !settings.extendedConnect) return 'extended-connect';
  return needs.datagrams && version === 'h3' && !settings.datagrams ? 'datagrams' : undefined;
}

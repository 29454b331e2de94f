import type { Credential, User } from './credentials.js';

/**
 * Decides who a credential belongs to; null for nobody. A rejection is answered with 503. `from` names where the
 * request comes from (an IPv4 address, or the /64 of an IPv6 one), so that one source cannot use up the others'
 * share of what is costly.
 */
export type Authenticate = (
  credential: Credential,
  signal: AbortSignal,
  from: string,
) => Promise<User | null>;

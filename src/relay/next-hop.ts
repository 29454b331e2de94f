import { formatHostPort } from '../protocol/target.js';
import { accessOf, type Hop } from '../upstream/hop.js';
import type { ProxyAccess } from '../upstream/proxy-access.js';
import type { UpstreamOrigin } from '../upstream/target.js';

/** A next hop: how it is reached, and how it is asked. */
export interface NextHop {
  readonly access: ProxyAccess;
  /** The same object for the same hop, as pool and racer know it again by it. */
  readonly origin: UpstreamOrigin;
  /** `HOST:PORT`, without credentials. */
  readonly name: string;
}

/** Next hops that were read before. */
export interface NextHops {
  /** Throws `BautaError` `ERR_LINK`, or `ERR_USAGE` for parts that do not go together. */
  of(hop: Hop): NextHop;
}

/** Links remembered; a `decide` that makes up more of them than this reads some again. */
const MOST_LINKS = 1_024;

export function createNextHops(): NextHops {
  const byLink = new Map<string, NextHop>();
  const byObject = new WeakMap<object, NextHop>();
  const tokens = new WeakMap<object, number>();
  let lastToken = 0;

  /** What the requests are authenticated with: two sources of tokens are two users of the hop. */
  const credentialsOf = (hop: Hop): string => {
    if (typeof hop === 'string') return hop;
    if (!hop.token) return hop.url;
    const number = tokens.get(hop.token) ?? ++lastToken;
    tokens.set(hop.token, number);
    return `${hop.url} token ${number}`;
  };
  const read = (hop: Hop): NextHop => {
    const access = accessOf(hop);
    const { host, port, trust, certificate } = access;
    return {
      access,
      name: formatHostPort(host, port),
      origin: {
        host,
        port,
        tls: { trust, ...(certificate ? { certificate } : {}) },
        credentials: credentialsOf(hop),
      },
    };
  };

  return {
    of(hop) {
      const known = typeof hop === 'string' ? byLink.get(hop) : byObject.get(hop);
      if (known) return known;
      const made = read(hop);
      if (typeof hop !== 'string') {
        byObject.set(hop, made);
        return made;
      }
      const [oldest] = byLink.keys();
      if (byLink.size >= MOST_LINKS && oldest !== undefined) byLink.delete(oldest);
      byLink.set(hop, made);
      return made;
    },
  };
}

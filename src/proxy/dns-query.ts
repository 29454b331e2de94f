import { promises as dns } from 'node:dns';

/** The answer for one record type. */
export type DnsAnswer =
  | {
      readonly kind: 'addresses';
      readonly records: readonly { readonly address: string; readonly ttl: number }[];
    }
  /** The name server said no; `rcode` as RFC 9209 section 2.3.2 wants it, where it is known. */
  | { readonly kind: 'error'; readonly rcode: string | undefined }
  | { readonly kind: 'timeout' };

/** Asks for the addresses of one family of a fully qualified name; never rejects. */
export type DnsQuery = (name: string, family: 4 | 6) => Promise<DnsAnswer>;

/** Node's names of c-ares results as the names of RFC 1035 response codes. */
const rcodes: Readonly<Record<string, string>> = {
  ENODATA: 'NOERROR',
  EFORMERR: 'FORMERR',
  ESERVFAIL: 'SERVFAIL',
  ENOTFOUND: 'NXDOMAIN',
  ENOTIMP: 'NOTIMP',
  EREFUSED: 'REFUSED',
};

function answerOf(error: unknown): DnsAnswer {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (code === 'ETIMEOUT' || code === 'ECANCELLED') return { kind: 'timeout' };
  return { kind: 'error', rcode: rcodes[code] };
}

/**
 * Queries by an own c-ares resolver: no search domains are tried, and no thread is held while a name server
 * is silent. `servers` are `ADDRESS` or `ADDRESS:PORT`; the system's when empty.
 */
export function createDnsQuery(servers: readonly string[], timeout: number): DnsQuery {
  // The wait doubles with each try: a lost packet costs a tenth of the time, and four tries fit into it.
  const resolver = new dns.Resolver({ timeout: Math.ceil(timeout / 10), tries: 4 });
  if (servers.length > 0) resolver.setServers(servers);
  return async (name, family) => {
    try {
      const records =
        family === 4
          ? await resolver.resolve4(name, { ttl: true })
          : await resolver.resolve6(name, { ttl: true });
      return { kind: 'addresses', records };
    } catch (error) {
      return answerOf(error);
    }
  };
}

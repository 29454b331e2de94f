import {
  type BareItem,
  isInnerList,
  type List,
  type Parameters,
  parseList,
  serializeList,
  Token,
} from 'structured-headers';

/** One member of a Proxy-Status field: what one proxy says of its part (RFC 9209 section 2). */
export interface ProxyStatus {
  /** Which proxy; a name or host, nothing that a stranger should not see. */
  readonly name: string;
  /** The error type (section 2.3), such as `dns_error`. */
  readonly error?: string;
  /** The address that was dialled, `IP:PORT`. */
  readonly nextHop?: string;
  /** The protocol spoken with the next hop, an ALPN id. */
  readonly nextProtocol?: string;
  /** The status that came from the next hop. */
  readonly receivedStatus?: number;
  /** Words for a person. */
  readonly details?: string;
  /** With `dns_error`: the DNS response code (section 2.3.2). */
  readonly rcode?: string;
  /** With `dns_error`: the extended DNS error of RFC 8914. */
  readonly infoCode?: number;
}

/** What a Structured Fields String can hold (RFC 9651 section 3.3.3). */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?');
}

/** RFC 9651 section 3.3.4. */
const TOKEN = /^[A-Za-z*][A-Za-z0-9!#$%&'*+.^_`|~:/-]*$/;

function tokenOrString(text: string): BareItem {
  return TOKEN.test(text) ? new Token(text) : printable(text);
}

/** An address and a port, which a String holds as they are. */
const ADDRESS = /^[0-9A-Fa-f.:[\]]+$/;

/** The answer to each tunnel that was opened straight to its target, without the detour over a list of members. */
function dialledOnly({ name, nextHop, ...rest }: ProxyStatus): string | undefined {
  if (nextHop === undefined || !TOKEN.test(name) || !ADDRESS.test(nextHop)) return undefined;
  return Object.values(rest).some((value) => value !== undefined)
    ? undefined
    : `${name};next-hop="${nextHop}"`;
}

/** Writes members nearest the origin first, as the field wants them (RFC 9209 section 2). */
export function formatProxyStatus(...members: readonly ProxyStatus[]): string {
  const [only] = members;
  const short = only && members.length === 1 ? dialledOnly(only) : undefined;
  if (short !== undefined) return short;
  const list: List = members.map((member) => {
    const parameters: Parameters = new Map();
    // RFC 9209 section 2.1.1: the error type is a Token.
    if (member.error !== undefined) parameters.set('error', tokenOrString(member.error));
    // Always a String: a Token cannot hold an IPv6 address, and masque-go reads nothing else.
    if (member.nextHop !== undefined) parameters.set('next-hop', printable(member.nextHop));
    if (member.nextProtocol !== undefined) {
      // Section 2.1.3: a Token where the ALPN id can be one, else a Byte Sequence.
      const token = TOKEN.test(member.nextProtocol);
      const id = token ? new Token(member.nextProtocol) : Buffer.from(member.nextProtocol, 'latin1');
      parameters.set('next-protocol', id);
    }
    if (member.receivedStatus !== undefined) parameters.set('received-status', member.receivedStatus);
    if (member.rcode !== undefined) parameters.set('rcode', printable(member.rcode));
    if (member.infoCode !== undefined) parameters.set('info-code', member.infoCode);
    if (member.details !== undefined) parameters.set('details', printable(member.details));
    return [tokenOrString(member.name), parameters];
  });
  return serializeList(list);
}

function text(value: BareItem | undefined): string | undefined {
  if (typeof value === 'string') return value;
  if (value instanceof Token) return value.toString();
  return value instanceof ArrayBuffer ? Buffer.from(value).toString('latin1') : undefined;
}

function integer(value: BareItem | undefined): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) ? value : undefined;
}

function defined<K extends keyof ProxyStatus>(key: K, value: ProxyStatus[K]): Partial<ProxyStatus> {
  return value === undefined ? {} : { [key]: value };
}

function parseMembers(field: string): List {
  try {
    return parseList(field);
  } catch {
    return [];
  }
}

/**
 * Reads a Proxy-Status field, all its lines joined by commas; nearest the origin first. What is unknown, or of
 * a wrong type, is ignored (RFC 9209 section 2); a field that is no list has no members.
 */
export function parseProxyStatus(field: string): ProxyStatus[] {
  const statuses: ProxyStatus[] = [];
  for (const member of parseMembers(field)) {
    if (isInnerList(member)) continue;
    const [value, parameters] = member;
    const name = text(value);
    if (name === undefined) continue;
    statuses.push({
      name,
      ...defined('error', text(parameters.get('error'))),
      ...defined('nextHop', text(parameters.get('next-hop'))),
      ...defined('nextProtocol', text(parameters.get('next-protocol'))),
      ...defined('receivedStatus', integer(parameters.get('received-status'))),
      ...defined('details', text(parameters.get('details'))),
      ...defined('rcode', text(parameters.get('rcode'))),
      ...defined('infoCode', integer(parameters.get('info-code'))),
    });
  }
  return statuses;
}

/** The address that the proxy nearest to the origin dialled, as it wrote it; undefined when none says. */
export function nextHopOf(field: string): string | undefined {
  return parseProxyStatus(field).find(({ nextHop }) => nextHop !== undefined)?.nextHop;
}

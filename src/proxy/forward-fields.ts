import type { OutgoingHttpHeaders } from 'node:http';
import { endToEndFields, fieldsOfRaw } from '../http/tcp/connection-fields.js';
import { type Fields, fieldValues } from '../protocol/fields.js';
import type { HttpVersion } from '../protocol/reset-reason.js';
import type { LoopGuard } from '../relay/via.js';

/** Fields of a request that are for this proxy, or said anew by it. */
const ofThisProxy: ReadonlySet<string> = new Set(['proxy-authorization', 'via', 'trailer', 'max-forwards']);
/** Fields of a response that only a proxy may say to its own client (RFC 9110 section 11.7). */
const ofAProxy: ReadonlySet<string> = new Set([
  'proxy-authenticate',
  'proxy-authentication-info',
  'via',
  'trailer',
]);

const DIGITS = /^\d{1,15}$/;

/** The length that a request states; undefined where it states none, `malformed` where it is no one number. */
export function statedLength(fields: Fields): number | undefined | 'malformed' {
  const values = fieldValues(fields, 'content-length');
  const [value] = values;
  if (value === undefined) return undefined;
  return values.length === 1 && DIGITS.test(value) ? Number(value) : 'malformed';
}

/** How often a TRACE or OPTIONS may be forwarded (RFC 9110 section 7.6.2); undefined where it does not say. */
export function maxForwards(fields: Fields): number | undefined {
  const [value, ...more] = fieldValues(fields, 'max-forwards');
  return value !== undefined && more.length === 0 && DIGITS.test(value) ? Number(value) : undefined;
}

export interface ForwardedHead {
  readonly fields: Fields;
  readonly authority: string;
  /** Proxies that it came through. */
  readonly via: readonly string[];
  readonly received: HttpVersion;
  /** Forwards that are left, where the request counts them. */
  readonly forwardsLeft: number | undefined;
}

/**
 * The fields of a request to an origin in HTTP/1.1: end-to-end ones, Host from the target (RFC 9112 section 3.2.2),
 * and Via with this proxy (RFC 9110 section 7.6.3). Content-Length stays; the transfer coding is the sender's.
 */
export function originFields(head: ForwardedHead, loops: LoopGuard): OutgoingHttpHeaders {
  const { fields, authority, via, received, forwardsLeft } = head;
  const headers: OutgoingHttpHeaders = { host: authority };
  for (const [name, value] of endToEndFields(fields)) {
    if (ofThisProxy.has(name)) continue;
    const before = headers[name];
    if (before === undefined) headers[name] = value;
    // RFC 9113 section 8.2.3: crumbs of a cookie are one field in HTTP/1.1.
    else if (name === 'cookie') headers[name] = `${before}; ${value}`;
    else headers[name] = Array.isArray(before) ? [...before, value] : [String(before), value];
  }
  const [name, value] = loops.field(via, received);
  headers[name] = value;
  if (forwardsLeft !== undefined) headers['max-forwards'] = String(forwardsLeft);
  return headers;
}

/** The fields of an origin's response for the client: end-to-end ones, and Via with this proxy. */
export function clientFields(raw: readonly string[], loops: LoopGuard): Fields {
  const fields = fieldsOfRaw(raw);
  const came = loops.came(fields);
  const members = came.kind === 'new' ? came.members : [];
  return [...endToEndFields(fields).filter(([name]) => !ofAProxy.has(name)), loops.field(members, 'h1')];
}

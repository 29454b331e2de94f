import http2, { type OutgoingHttpHeaders } from 'node:http2';
import type { Fields } from '../../protocol/fields.js';
import type { RequestHead, ResponseHead } from '../request.js';
import { endToEndFields, fieldsOfRaw } from '../tcp/connection-fields.js';

/** Never put in a compression table (RFC 7541 section 7.1.3). */
const sensitive = ['authorization', 'proxy-authorization', 'cookie', 'set-cookie'];

function headersOf(pseudo: OutgoingHttpHeaders, fields: Fields): OutgoingHttpHeaders {
  const headers: OutgoingHttpHeaders = { ...pseudo };
  // RFC 9113 section 8.2.2: connection-specific fields are not sent.
  for (const [name, value] of endToEndFields(fields)) {
    const before = headers[name];
    if (before === undefined) headers[name] = value;
    else headers[name] = Array.isArray(before) ? [...before, value] : [String(before), value];
  }
  Reflect.set(headers, http2.sensitiveHeaders, sensitive);
  return headers;
}

export function responseHeaders(head: ResponseHead): OutgoingHttpHeaders {
  return headersOf({ ':status': head.status }, head.fields);
}

function pseudoHeader(raw: readonly string[], name: string): string | undefined {
  for (let index = 0; index + 1 < raw.length; index += 2) if (raw[index] === name) return raw[index + 1];
  return undefined;
}

/** The request of a flat list of headers; undefined where pseudo-headers are missing or do not fit. */
export function requestOf(raw: readonly string[]): RequestHead | undefined {
  const fields = fieldsOfRaw(raw);
  const method = pseudoHeader(raw, ':method');
  const protocol = pseudoHeader(raw, ':protocol');
  const scheme = pseudoHeader(raw, ':scheme');
  const path = pseudoHeader(raw, ':path');
  const host = fields.find(([name]) => name === 'host')?.[1];
  const authority = pseudoHeader(raw, ':authority') ?? host;
  const rest = endToEndFields(fields);
  if (method === undefined || !authority) return undefined;
  if (method === 'CONNECT' && protocol === undefined) {
    if (scheme !== undefined || path !== undefined) return undefined;
    return { kind: 'connect', authority, fields: rest };
  }
  if (scheme === undefined || !path) return undefined;
  if (protocol === undefined) return { kind: 'plain', method, scheme, authority, path, fields: rest };
  if (method !== 'CONNECT') return undefined;
  return { kind: 'extended', protocol, scheme, authority, path, fields: rest };
}

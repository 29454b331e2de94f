import type { IncomingMessage } from 'node:http';
import { type Fields, fieldValues } from '../../protocol/fields.js';
import type { RequestHead } from '../request.js';
import { endToEndFields, fieldsOfRaw } from '../tcp/connection-fields.js';

/** What a request in HTTP/1.1 turned out to be, or the status of its refusal. */
export type Received =
  | { readonly kind: 'request'; readonly head: RequestHead; readonly token: string | undefined }
  | { readonly kind: 'malformed'; readonly status: 400 };

const malformed: Received = { kind: 'malformed', status: 400 };

/** Scheme, authority and path of an absolute-form target (RFC 9112 section 3.2.2). */
const absoluteForm = /^([a-z][a-z0-9+.-]*):\/\/([^/?#]*)([^#]*)$/i;

interface Target {
  readonly scheme: string;
  readonly authority: string;
  readonly path: string;
}

function targetOf(url: string, host: string | undefined): Target | undefined {
  if (url.startsWith('/') || url === '*') return { scheme: 'https', authority: host ?? '', path: url };
  const match = absoluteForm.exec(url);
  const [, scheme, authority, path] = match ?? [];
  if (!scheme || !authority || path === undefined) return undefined;
  return { scheme: scheme.toLowerCase(), authority, path: path.startsWith('/') ? path : `/${path}` };
}

/** RFC 9112 section 3.2: HTTP/1.1 has exactly one Host. */
function hostOf(request: IncomingMessage, fields: Fields): string | undefined | 'malformed' {
  const hosts = fieldValues(fields, 'host');
  if (hosts.length > 1 || (hosts.length === 0 && request.httpVersion !== '1.0')) return 'malformed';
  return hosts[0];
}

/** The names in a comma-separated field, in lower case. */
export function listMembers(fields: Fields, name: string): string[] {
  return fieldValues(fields, name)
    .flatMap((value) => value.split(','))
    .map((member) => member.trim().toLowerCase())
    .filter((member) => member !== '');
}

/** Content follows, or its fields say that it may. */
export function hasContent(request: IncomingMessage): boolean {
  const { 'content-length': length, 'transfer-encoding': coding } = request.headers;
  return coding !== undefined || (length !== undefined && length !== '0');
}

export function plainRequest(request: IncomingMessage): Received {
  const fields = fieldsOfRaw(request.rawHeaders);
  const host = hostOf(request, fields);
  if (host === 'malformed') return malformed;
  const target = targetOf(request.url ?? '', host);
  // RFC 9112 section 6.1: a coding that is not understood leaves the content's end unknown.
  const codings = listMembers(fields, 'transfer-encoding');
  if (!target || codings.some((coding) => coding !== 'chunked')) return malformed;
  const head = {
    kind: 'plain',
    method: request.method ?? '',
    ...target,
    fields: endToEndFields(fields),
  } as const;
  return { kind: 'request', head, token: undefined };
}

/** RFC 9110 section 9.3.6: authority-form, and no other. */
export function connectRequest(request: IncomingMessage): Received {
  const fields = fieldsOfRaw(request.rawHeaders);
  const authority = request.url ?? '';
  // RFC 9110 section 9.3.6: there is no content in a CONNECT.
  if (hasContent(request) || hostOf(request, fields) === 'malformed' || !/^[^/?#@\s]+:\d+$/.test(authority))
    return malformed;
  return {
    kind: 'request',
    head: { kind: 'connect', authority, fields: endToEndFields(fields) },
    token: undefined,
  };
}

/** RFC 9298 section 3.2: GET, one Host, `Connection: Upgrade`, one `Upgrade` token, no content. */
export function upgradeRequest(request: IncomingMessage): Received {
  const fields = fieldsOfRaw(request.rawHeaders);
  const host = hostOf(request, fields);
  const tokens = fieldValues(fields, 'upgrade');
  const token = tokens[0]?.trim() ?? '';
  if (request.method !== 'GET' || request.httpVersion !== '1.1' || host === 'malformed' || !host) {
    return malformed;
  }
  if (tokens.length !== 1 || !/^[!#$%&'*+.^_`|~0-9a-z-]+$/i.test(token)) return malformed;
  if (!listMembers(fields, 'connection').includes('upgrade')) return malformed;
  if (hasContent(request)) return malformed;
  const target = targetOf(request.url ?? '', host);
  if (!target || target.path === '*') return malformed;
  const head = {
    kind: 'extended',
    protocol: token.toLowerCase(),
    ...target,
    fields: endToEndFields(fields),
  } as const;
  return { kind: 'request', head, token };
}

/** The same request without its wish to upgrade, as bytes on the wire. */
export function withoutUpgrade(request: IncomingMessage): Buffer {
  const lines = [`${request.method} ${request.url} HTTP/${request.httpVersion}`];
  const { rawHeaders } = request;
  for (let index = 0; index + 1 < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    let value = rawHeaders[index + 1] ?? '';
    if (name.toLowerCase() === 'upgrade') continue;
    if (name.toLowerCase() === 'connection') {
      value = value
        .split(',')
        .filter((option) => option.trim().toLowerCase() !== 'upgrade')
        .join(',');
      if (value.trim() === '') continue;
    }
    lines.push(`${name}: ${value}`);
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

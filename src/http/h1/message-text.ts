import { STATUS_CODES, validateHeaderName, validateHeaderValue } from 'node:http';
import type { Fields } from '../../protocol/fields.js';
import { endToEndFields } from '../tcp/connection-fields.js';

/** A response head as bytes on the wire; throws a TypeError on a name or value that cannot be sent. */
export function responseText(status: number, own: Fields, fields: Fields): Buffer {
  const lines = [`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}`];
  for (const [name, value] of [...own, ...endToEndFields(fields)]) {
    validateHeaderName(name);
    validateHeaderValue(name, value);
    lines.push(`${name}: ${value}`);
  }
  return Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
}

/** Fields as Node's flat list of names and values. */
export function flatFields(own: Fields, fields: Fields): string[] {
  return [...own, ...endToEndFields(fields)].flat();
}

/** One chunk of `Transfer-Encoding: chunked` (RFC 9112 section 7.1); the last one is empty. */
export function chunkText(content: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from(`${content.length.toString(16)}\r\n`), content, Buffer.from('\r\n')]);
}

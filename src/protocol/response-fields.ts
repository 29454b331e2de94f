import type { Fields } from './fields.js';
import { MalformedMessageError } from './malformed-message.js';
import type { ResponseHead } from './request.js';
import { appendFields, splitPseudoHeaders } from './request-fields.js';

const responsePseudoHeaders: ReadonlySet<string> = new Set([':status']);

/** Makes a response of an HTTP/3 or HTTP/2 field section (RFC 9114 section 4.3.2). Throws `MalformedMessageError`. */
export function decodeResponse(lines: Fields): ResponseHead {
  const { pseudo, fields } = splitPseudoHeaders(lines, responsePseudoHeaders);
  const status = pseudo.get(':status');
  if (status === undefined) throw new MalformedMessageError('a response without :status');
  if (!/^[1-9]\d\d$/.test(status)) throw new MalformedMessageError('a :status that is none');
  // RFC 9114 section 4.5: there is no 101 here.
  if (status === '101') throw new MalformedMessageError('a response with status 101');
  return { status: Number(status), fields };
}

/**
 * The field section of a response in HTTP/3 or HTTP/2, without fields of one HTTP/1.1 connection. Throws
 * `MalformedMessageError`.
 */
export function encodeResponse(head: ResponseHead): Fields {
  if (!Number.isInteger(head.status) || head.status < 100 || head.status > 999 || head.status === 101) {
    throw new MalformedMessageError(`a response with status ${head.status}`);
  }
  return appendFields([[':status', String(head.status)]], head.fields);
}

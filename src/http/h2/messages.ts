import { contentLength } from '../../protocol/field-syntax.js';
import { type Fields, fieldSectionSize } from '../../protocol/fields.js';
import { MalformedMessageError } from '../../protocol/malformed-message.js';
import { decodeRequest, encodeRequest } from '../../protocol/request-fields.js';
import { decodeResponse, encodeResponse } from '../../protocol/response-fields.js';
import type { RequestHead, ResponseHead } from '../request.js';
import { endToEndFields } from '../tcp/connection-fields.js';

/** What an operation on messages gives, or undefined where the message is malformed (RFC 9113 section 8.1.1). */
export function unlessMalformed<Result>(operation: () => Result): Result | undefined {
  try {
    return operation();
  } catch (error) {
    if (error instanceof MalformedMessageError) return undefined;
    throw error;
  }
}

/** Larger field sections are not sent, bytes as RFC 9113 section 6.5.2 counts them. */
const LARGEST_SECTION = 128 * 1024;

function checkSize(fields: Fields): Fields {
  if (fieldSectionSize(fields) <= LARGEST_SECTION) return fields;
  throw new MalformedMessageError(`a field section over ${LARGEST_SECTION} bytes`);
}

/** The field section of a request. Throws `MalformedMessageError`. */
export function requestFields(head: RequestHead): Fields {
  return checkSize(encodeRequest({ ...head, fields: endToEndFields(head.fields) }));
}

/** Reads a request's field section. Throws `MalformedMessageError`. */
export function readRequest(lines: Fields): RequestHead {
  const head = decodeRequest(lines);
  return { ...head, fields: endToEndFields(head.fields) };
}

/** The field section of a response. Throws `MalformedMessageError`. */
export function responseFields(head: ResponseHead): Fields {
  return checkSize(encodeResponse({ ...head, fields: endToEndFields(head.fields) }));
}

/** Reads a response's field section. Throws `MalformedMessageError`. */
export function readResponse(lines: Fields): ResponseHead {
  const { status, fields } = decodeResponse(lines);
  return { status, fields: endToEndFields(fields) };
}

/** The content that a request announces, bytes. Throws `MalformedMessageError`. */
export function requestLength(head: RequestHead): number | undefined {
  return head.kind === 'plain' ? contentLength(head.fields) : undefined;
}

/** True where no content follows, whatever Content-Length says (RFC 9110 section 6.4.1). */
export function isWithoutContent(request: RequestHead, status: number): boolean {
  return (request.kind === 'plain' && request.method === 'HEAD') || status === 204 || status === 304;
}

/** The content that a final response announces, bytes. Throws `MalformedMessageError`. */
export function responseLength(request: RequestHead, head: ResponseHead): number | undefined {
  // RFC 9110 section 9.3.6: a 2xx to CONNECT has no such length, and one that is sent is ignored.
  if (request.kind !== 'plain' && head.status < 300) return undefined;
  const length = contentLength(head.fields);
  return isWithoutContent(request, head.status) ? 0 : length;
}

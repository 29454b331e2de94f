import { checkTrailers, contentLength } from '../../protocol/field-syntax.js';
import { type Fields, fieldSectionSize } from '../../protocol/fields.js';
import { H3Error } from '../../protocol/h3-error.js';
import { MalformedMessageError } from '../../protocol/malformed-message.js';
import { decodeFieldSection } from '../../protocol/qpack/decoder.js';
import { encodeFieldSection } from '../../protocol/qpack/encoder.js';
import type { RequestHead, ResponseHead } from '../../protocol/request.js';
import { decodeRequest, encodeRequest } from '../../protocol/request-fields.js';
import { decodeResponse, encodeResponse } from '../../protocol/response-fields.js';

/** A message's header section and the length of content that it states. */
export interface Head<Kind> {
  readonly head: Kind;
  readonly length: number | undefined;
}

/** RFC 9114 section 4.1.2: a malformed message is an error of its stream. */
function checked<Result>(read: () => Result): Result {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof MalformedMessageError)) throw error;
    throw new H3Error('H3_MESSAGE_ERROR', error.message, 'stream');
  }
}

/** Reads a request's field section of at most `maxSize` bytes. Throws `H3Error`. */
export function readRequest(
  bytes: Uint8Array,
  start: number,
  end: number,
  maxSize: number,
): Head<RequestHead> {
  const lines = decodeFieldSection(bytes, start, end, maxSize);
  return checked(() => {
    const head = decodeRequest(lines);
    return { head, length: head.kind === 'plain' ? contentLength(head.fields) : undefined };
  });
}

/** Reads a response's field section of at most `maxSize` bytes. Throws `H3Error`. */
export function readResponse(
  bytes: Uint8Array,
  start: number,
  end: number,
  maxSize: number,
  tunnel: boolean,
): Head<ResponseHead> {
  const lines = decodeFieldSection(bytes, start, end, maxSize);
  return checked(() => {
    const head = decodeResponse(lines);
    // RFC 9110 section 9.3.6: a 2xx to CONNECT has no such length, and one that is sent is ignored.
    const ignored = head.status < 200 || (tunnel && head.status < 300);
    return { head, length: ignored ? undefined : contentLength(head.fields) };
  });
}

/** Checks a trailer section and forgets it. Throws `H3Error`. */
export function readTrailers(bytes: Uint8Array, start: number, end: number, maxSize: number): void {
  const lines = decodeFieldSection(bytes, start, end, maxSize);
  checked(() => checkTrailers(lines));
}

/** What this side sends; undefined when it is malformed or larger than the peer takes. */
function section(fields: () => Fields, maxSize: number | undefined): Uint8Array | undefined {
  try {
    const lines = fields();
    // RFC 9114 section 4.2.2: what the peer has said to refuse is not sent.
    if (maxSize !== undefined && fieldSectionSize(lines) > maxSize) return undefined;
    return encodeFieldSection(lines);
  } catch (error) {
    if (error instanceof MalformedMessageError) return undefined;
    throw error;
  }
}

export function requestSection(head: RequestHead, maxSize: number | undefined): Uint8Array | undefined {
  return section(() => encodeRequest(head), maxSize);
}

export function responseSection(head: ResponseHead, maxSize: number | undefined): Uint8Array | undefined {
  return section(() => encodeResponse(head), maxSize);
}

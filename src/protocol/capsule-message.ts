import type { Fields } from './fields.js';
import { MalformedMessageError } from './malformed-message.js';
import type { ResponseHead } from './request.js';

/** Fields that a message whose content is capsules must not have (RFC 9297 section 3.2). */
const forbidden: ReadonlySet<string> = new Set(['content-length', 'content-type', 'transfer-encoding']);

function checkFields(fields: Fields): void {
  for (const [name] of fields) {
    if (forbidden.has(name)) throw new MalformedMessageError(`${name} on a message of capsules`);
  }
}

/** Throws `MalformedMessageError` for a request that uses the capsule protocol and must not look like this. */
export function checkCapsuleRequest(fields: Fields): void {
  checkFields(fields);
}

/** True for a response that lets the capsule protocol begin: 2xx, and 101 in HTTP/1.1 (RFC 9297 section 3.2). */
export function opensCapsules(status: number): boolean {
  return status === 101 || (status >= 200 && status <= 299);
}

/**
 * Checks the response to a request that uses the capsule protocol; one that refuses it is an ordinary
 * response. Throws `MalformedMessageError`.
 */
export function checkCapsuleResponse(head: ResponseHead): void {
  if (!opensCapsules(head.status)) return;
  // RFC 9297 section 3.2: statuses that forbid or reinterpret content.
  if (head.status === 204 || head.status === 205 || head.status === 206) {
    throw new MalformedMessageError(`status ${head.status} on a message of capsules`);
  }
  checkFields(head.fields);
}

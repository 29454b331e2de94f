import { parseItem } from 'structured-headers';
import { type Fields, singleField } from './fields.js';

/** Says that a message's content is capsules (RFC 9297 section 3.4). Sent on requests, 101 and 2xx only. */
export const capsuleProtocolField: readonly [name: string, value: string] = ['capsule-protocol', '?1'];

/**
 * True when the fields say so. A value that is not a Boolean or is sent twice counts as absent, and
 * parameters are ignored (RFC 9297 section 3.4). Nobody may require it of a peer.
 */
export function saysCapsuleProtocol(fields: Fields): boolean {
  return booleanField(fields, 'capsule-protocol') === true;
}

/** The value of a Structured Fields Boolean (RFC 9651 section 3.3.6); undefined for anything else. */
export function booleanField(fields: Fields, name: string): boolean | undefined {
  const text = singleField(fields, name);
  if (text === undefined) return undefined;
  try {
    const [value] = parseItem(text);
    return typeof value === 'boolean' ? value : undefined;
  } catch {
    return undefined;
  }
}

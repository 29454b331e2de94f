import { type Fields, singleField } from '../protocol/fields.js';
import type { Challenge } from './refusal.js';

/** What a client showed to be let in. */
export type Credential =
  /** RFC 7617. */
  | { readonly scheme: 'basic'; readonly name: string; readonly password: string }
  /** RFC 6750. */
  | { readonly scheme: 'bearer'; readonly token: string };

/** Who a credential belongs to. Tunnels are counted and limited by the name. */
export interface User {
  readonly name: string;
}

/** Longest field value looked at; a real credential is far shorter. */
const MAX_LENGTH = 8_192;

const base64 = /^[A-Za-z0-9+/_-]*={0,2}$/;

function basic(parameter: string): Credential | undefined {
  if (!base64.test(parameter)) return undefined;
  const text = Buffer.from(parameter, 'base64').toString('utf8');
  const colon = text.indexOf(':');
  if (colon < 0) return undefined;
  return { scheme: 'basic', name: text.slice(0, colon), password: text.slice(colon + 1) };
}

/** The credential in one Authorization or Proxy-Authorization value (RFC 9110 section 11.4). */
export function parseCredential(value: string): Credential | undefined {
  if (value.length > MAX_LENGTH) return undefined;
  const match = /^([!#$%&'*+.^_`|~0-9A-Za-z-]+) +(\S+)$/.exec(value.trim());
  const [, scheme, parameter] = match ?? [];
  if (scheme === undefined || parameter === undefined) return undefined;
  switch (scheme.toLowerCase()) {
    case 'basic':
      return basic(parameter);
    case 'bearer':
      return { scheme: 'bearer', token: parameter };
    default:
      return undefined;
  }
}

/** Where credentials for the one and for the other challenge are looked for, in this order. */
const fieldsOf: Record<Challenge, readonly string[]> = {
  // Either is what clients send to a template.
  origin: ['authorization', 'proxy-authorization'],
  // What `Authorization` says is between the client and an origin.
  proxy: ['proxy-authorization'],
};

/** The field value to authenticate a request by. Undefined when there is none, or one that is repeated. */
export function credentialField(fields: Fields, challenge: Challenge): string | undefined {
  for (const name of fieldsOf[challenge]) {
    const value = singleField(fields, name);
    if (value !== undefined) return value;
  }
  return undefined;
}

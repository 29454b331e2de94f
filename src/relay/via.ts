import type { RandomBytes } from '../clock/clock.js';
import { type Fields, fieldValues } from '../protocol/fields.js';
import type { HttpVersion } from '../protocol/reset-reason.js';

/** What the Via field of a request says of where it has been. */
export type ViaVerdict =
  /** Members to pass on. */
  | { readonly kind: 'new'; readonly members: readonly string[] }
  /** It came through here before, or through more proxies than any sane chain has. */
  | { readonly kind: 'loop'; readonly detail: string };

/** Proxies that a request may have passed. */
const MOST_HOPS = 32;
/** Characters of a member that are passed on; a host name has fewer. */
const LONGEST_MEMBER = 280;

/** RFC 9110 section 7.6.3: received-protocol and received-by; comments are taken out before. */
const MEMBER = /^(?:[!#$%&'*+.^_`|~0-9A-Za-z-]+\/)?[!#$%&'*+.^_`|~0-9A-Za-z-]+[ \t]+[!-+\--~]+$/;

const versionText: Record<HttpVersion, string> = { h3: '3', h2: '2', h1: '1.1' };

/**
 * Reads the Via field of a request (RFC 9110 section 7.6.3), whose use is to find loops. `token` is the
 * pseudonym of this proxy, random and its own, so that a request that names it came through here.
 */
export function readVia(fields: Fields, token: string): ViaVerdict {
  const text = fieldValues(fields, 'via').join(',');
  if (text === '') return { kind: 'new', members: [] };
  const members = text
    .replace(/\([^()]*\)/g, '')
    .split(',')
    .map((member) => member.trim())
    .filter((member) => member !== '');
  if (members.some((member) => member.split(/[ \t]+/).includes(token))) {
    return { kind: 'loop', detail: 'the request came through this proxy before' };
  }
  if (members.length > MOST_HOPS) {
    return { kind: 'loop', detail: `the request came through ${members.length} proxies` };
  }
  return {
    kind: 'new',
    members: members.filter((member) => member.length <= LONGEST_MEMBER && MEMBER.test(member)),
  };
}

/** Finds requests that came through this proxy before. */
export interface LoopGuard {
  /** What the Via field of a request with these fields says. */
  came(fields: Fields): ViaVerdict;
  /** The Via field of what is sent on: who was there before, and this proxy with the version that it received. */
  field(members: readonly string[], received: HttpVersion): readonly [name: string, value: string];
}

/** A guard with a pseudonym that no other proxy has, and that says nothing of this one. */
export function createLoopGuard(randomBytes: RandomBytes): LoopGuard {
  const token = `p-${Buffer.from(randomBytes(12)).toString('hex')}`;
  return {
    came: (fields) => readVia(fields, token),
    field: (members, received) => ['via', [...members, `${versionText[received]} ${token}`].join(', ')],
  };
}

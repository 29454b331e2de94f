import { isIP } from 'node:net';
import type { ResponseHead } from '../http/request.js';
import { type ErrorCode, failures } from '../protocol/failures.js';
import { fieldValues } from '../protocol/fields.js';
import { type ProxyStatus, parseProxyStatus } from '../protocol/proxy-status.js';
import type { HttpVersion } from '../protocol/reset-reason.js';
import type { HopAnswer } from '../relay/hop-answer.js';
import type { NextHop } from '../relay/next-hop.js';
import type { Relay } from '../relay/relay.js';
import { errorOfResponse } from '../tunnel/response-error.js';
import type { Hop } from '../upstream/hop.js';
import { alpnOf } from '../upstream/target.js';
import type { OpenWay } from './open-way.js';
import { type Refusal, refusal } from './refusal.js';
import type { AskedTarget } from './target-route.js';
import type { TargetRules } from './target-rules.js';

/** Entries of hops that are passed on, and characters of what one says in words. */
const MOST_ENTRIES = 16;
const LONGEST_TEXT = 256;

function entriesOf(head: ResponseHead): ProxyStatus[] {
  const entries = parseProxyStatus(fieldValues(head.fields, 'proxy-status').join(', '));
  return entries
    .slice(0, MOST_ENTRIES)
    .map(
      (entry) =>
        Object.fromEntries(
          Object.entries(entry).map(([key, value]) => [
            key,
            typeof value === 'string' ? value.slice(0, LONGEST_TEXT) : value,
          ]),
        ) as unknown as ProxyStatus,
    );
}

function ownEntry(via: string, version: HttpVersion): Partial<ProxyStatus> {
  return { nextHop: via, nextProtocol: alpnOf[version] };
}

/** The rules that hold here for a target whose name is resolved by the last hop. */
export function judgeForwarded(
  rules: TargetRules,
  { host, port }: AskedTarget,
  kind: 'udp' | 'tcp',
): Refusal | undefined {
  const tcpPort = kind === 'tcp' ? port : undefined;
  if (isIP(host) === 0) {
    const denied = rules.judgeForwardedName(host, tcpPort);
    return denied && refusal(denied.code, denied.reason);
  }
  const verdict = rules.judge(undefined, host, tcpPort);
  return verdict.allowed ? undefined : refusal(verdict.code, verdict.reason);
}

/** A failure to reach the hop, as this proxy's own. */
function unreached(code: ErrorCode, detail: string): Refusal {
  if (code === 'ERR_ABORTED' || code === 'ERR_CLOSED') return refusal('ERR_TIMEOUT', detail);
  if (code === 'ERR_CREDENTIALS') return refusal('ERR_HOP_CREDENTIALS', detail);
  // What a hop is out of, its user cannot help.
  if (code === 'ERR_TOO_MANY') return refusal(code, detail, { status: 503 });
  return failures[code].status === undefined || failures[code].status < 500
    ? refusal('ERR_INTERNAL', detail)
    : refusal(code, detail);
}

/** The hop's refusal, passed back with its status and with the entries of all hops (RFC 9209 section 2). */
function passedBack(head: ResponseHead, via: string, version: HttpVersion): Refusal {
  const own = { ...ownEntry(via, version), receivedStatus: head.status };
  // The client has nothing to do with what this proxy shows to its hop.
  if (head.status === 401 || head.status === 407) {
    return refusal('ERR_HOP_CREDENTIALS', `${via} answered ${head.status}`, { own });
  }
  const { code, message } = errorOfResponse(head);
  const behind = entriesOf(head);
  if (head.status < 400 || head.status > 599) return refusal('ERR_PROXY_PROTOCOL', message, { own });
  return refusal(code, `${via}: ${message}`, { status: head.status, behind, own });
}

/**
 * Asks the next hop for a tunnel to the target, by `ask`. The name of the target is not resolved here. Never
 * rejects.
 */
export async function openVia<Far>(
  relay: Relay,
  rules: TargetRules,
  hop: Hop,
  target: AskedTarget,
  kind: 'udp' | 'tcp',
  ask: (next: NextHop) => Promise<HopAnswer<Far>>,
): Promise<OpenWay<Far> | Refusal> {
  const no = judgeForwarded(rules, target, kind);
  if (no) return no;
  let next: NextHop;
  try {
    next = relay.nextHop(hop);
  } catch (error) {
    return refusal('ERR_INTERNAL', `the next hop cannot be used: ${String(error)}`);
  }
  const answer = await ask(next);
  switch (answer.kind) {
    case 'failed':
      return {
        ...unreached(answer.error.code, answer.error.message),
        own: { nextHop: next.name },
      };
    case 'refused':
      return passedBack(answer.head, next.name, answer.connection.version);
    case 'open':
      return {
        kind: 'open',
        far: answer.far,
        remote: answer.connection.remoteAddress,
        via: next.name,
        behind: entriesOf(answer.head),
        own: ownEntry(next.name, answer.connection.version),
      };
  }
}

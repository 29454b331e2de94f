import type { Clock } from '../clock/clock.js';
import { parseAddress } from '../protocol/address.js';
import { isNobodys } from '../protocol/address-verdict.js';
import { formatHostPort } from '../protocol/target.js';
import type { ProxyEvent } from '../proxy/events.js';
import type { SocketAddress } from '../quic/address.js';
import type { Journal } from './journal.js';

/** Lines of one kind a second that are told one by one; the rest is counted. */
const EACH_SECOND = 10;

const where = (address: SocketAddress): string => formatHostPort(address.address, address.port);

/**
 * A user who asks for what nobody has only looks whether the credentials are good: that is a success, and no news.
 */
function isLoginProbe({ user, target, code }: Extract<ProxyEvent, { event: 'request-refused' }>): boolean {
  if (user === undefined || code !== 'ERR_TARGET_REFUSED') return false;
  const address = parseAddress(target?.host ?? '');
  return address !== undefined && isNobodys(address);
}

function sentence(
  event: ProxyEvent,
): { readonly text: string; readonly level: 'warn' | 'tell' | 'verbose' } | undefined {
  switch (event.event) {
    case 'connection-opened':
      return {
        level: 'verbose',
        text: `connection ${event.connection} from ${where(event.client)} over ${event.version}`,
      };
    case 'connection-closed':
      return {
        level: 'verbose',
        text: `connection ${event.connection} closed: ${event.detail || event.reason}`,
      };
    case 'connection-refused':
      return { level: 'warn', text: `connection from ${where(event.client)} refused: ${event.limit}` };
    case 'tunnel-opened':
      return {
        level: 'verbose',
        text: `tunnel ${event.id}: ${event.user} to ${formatHostPort(event.target.host, event.target.port)} over ${event.version}`,
      };
    case 'tunnel-closed':
      return { level: 'verbose', text: `tunnel ${event.id} closed: ${event.detail || event.reason}` };
    case 'request-forwarded':
      return {
        level: 'verbose',
        text: `${event.user}: ${event.method} of http://${formatHostPort(event.target.host, event.target.port)} over ${event.version}, ${event.complete ? event.status : 'cut off'}`,
      };
    case 'request-refused': {
      const who = event.user === undefined ? `a stranger at ${where(event.client)}` : event.user;
      const target = event.target ? ` to ${formatHostPort(event.target.host, event.target.port)}` : '';
      return {
        level: isLoginProbe(event) ? 'verbose' : 'tell',
        text: `refused ${who}${target}: ${event.status} ${event.code} (${event.detail})`,
      };
    }
    case 'hop-connected':
      return {
        level: 'verbose',
        text: `connected to the next hop ${event.hop} over ${event.version}, ${where(event.address)}`,
      };
    case 'hop-closed':
      return {
        level: 'verbose',
        text: `connection to the next hop ${event.hop} over ${event.version} closed: ${event.detail}`,
      };
    case 'hop-failed':
      return {
        level: 'warn',
        text: `the next hop ${event.hop} over ${event.version}: ${event.code} ${event.detail}`,
      };
    case 'missed':
      return { level: 'warn', text: `${event.count} events were missed` };
    case 'failed':
      return { level: 'warn', text: `the engine has failed: ${event.reason}` };
    case 'listening':
    case 'draining':
    case 'closed':
      // Told by the command itself, which knows more.
      return undefined;
  }
}

/**
 * Tells a proxy's events to the journal: refusals always, connections and tunnels when `verbose`. What comes
 * faster than ten a second is counted instead, so that a flood of requests is no flood of lines.
 */
export function tellProxyEvents(
  journal: Journal,
  verbose: boolean,
  clock: Clock,
): (event: ProxyEvent) => void {
  let second = Number.NEGATIVE_INFINITY;
  let told = 0;
  let omitted = 0;
  return (event) => {
    const said = sentence(event);
    if (!said || (said.level === 'verbose' && !verbose)) return;
    if (!verbose) {
      const now = clock.now();
      if (now - second >= 1_000) {
        if (omitted > 0) journal.tell({ event: 'omitted', count: omitted }, `${omitted} more like these`);
        second = now;
        told = 0;
        omitted = 0;
      }
      told += 1;
      if (told > EACH_SECOND) {
        omitted += 1;
        return;
      }
    }
    if (said.level === 'warn') journal.warn(event, said.text);
    else journal.tell(event, said.text);
  };
}

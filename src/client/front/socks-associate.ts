import { BautaError } from '../../protocol/bauta-error.js';
import {
  MAX_SOCKS5_DATAGRAM_HEAD,
  type Socks5Address,
  socks5Replies,
  socks5Reply,
} from '../../protocol/socks5.js';
import { MAX_UDP_PAYLOAD } from '../../tunnel/udp/context.js';
import { isLoopback } from '../forward-spec.js';
import type { AppConnection } from './app-connection.js';
import type { FrontContext } from './carry-tcp.js';
import { type Association, openAssociation } from './socks-relay.js';

/** The UDP associations of a front-end. */
export interface AssociationOffice {
  /** The address that apps are told to send to, instead of the one that they reached the front-end by. */
  readonly replyAddress: string | undefined;
  /** How many there are. */
  open: number;
  /** Where answers are put together, by one at a time. */
  readonly answer: Uint8Array;
}

export function createAssociationOffice(replyAddress: string | undefined): AssociationOffice {
  return { replyAddress, open: 0, answer: new Uint8Array(MAX_SOCKS5_DATAGRAM_HEAD + MAX_UDP_PAYLOAD) };
}

const UNSPECIFIED: readonly string[] = ['0.0.0.0', '::'];
/** What an app may send on the control connection, to no effect, before it is taken for broken. */
const CHATTER = 65_536;

/**
 * The port that only this app sends from, where it is known: an app on this machine that names one, and either
 * no address or its own, means it (RFC 1928 section 4). Anybody else may be behind an address translation.
 */
function statedPort(stated: Socks5Address, app: AppConnection): number | undefined {
  const { address } = app.remoteAddress;
  const own = UNSPECIFIED.includes(stated.host) || stated.host === address;
  return stated.port > 0 && own && isLoopback(address) ? stated.port : undefined;
}

/**
 * Serves UDP ASSOCIATE (RFC 1928 sections 4 and 7): a UDP port for this app alone, open as long as its TCP
 * connection is. Rejects with `BautaError` where there is none.
 */
export async function associateUdp(
  app: AppConnection,
  stated: Socks5Address,
  context: FrontContext & { readonly associations: AssociationOffice },
): Promise<void> {
  const { associations, limits } = context;
  if (associations.open >= limits.associations) {
    throw new BautaError('ERR_TOO_MANY', { detail: `${limits.associations} UDP associations` });
  }
  associations.open += 1;
  let association: Association | undefined;
  const end = (): void => {
    associations.open -= 1;
    association?.close();
  };
  try {
    association = await openAssociation({
      ...context,
      answer: associations.answer,
      local: { address: app.localAddress.address, port: 0 },
      app: { address: app.remoteAddress.address, port: statedPort(stated, app) },
    });
  } catch (error) {
    end();
    throw error;
  }
  if (app.over.aborted) {
    end();
    return;
  }
  app.over.addEventListener('abort', end, { once: true });
  const host = associations.replyAddress ?? app.localAddress.address;
  app.write(socks5Reply(socks5Replies.succeeded, { host, port: association.localAddress.port }));
  // RFC 1928 section 6: the association ends with the TCP connection, half closed or not.
  app.handOver({
    data: () => undefined,
    end: () => app.hangUp(),
    drain: () => undefined,
    closed: () => undefined,
  });
  app.socket.grant(CHATTER);
}

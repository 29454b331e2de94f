import type { ClientCore } from '../client/client-core.js';
import { openFrontEnd } from '../client/front/open-front-end.js';
import { openTcpForward } from '../client/front/tcp-forward.js';
import { openUdpForward } from '../client/udp-forward.js';
import { systemClock } from '../clock/system-clock.js';
import type { Journal } from '../ops/journal.js';
import { BautaError } from '../protocol/bauta-error.js';
import type { SocketAddress } from '../quic/address.js';
import type { LocalEnd, LocalEnds } from './local-ends.js';
import { frontTeller, udpForwardTeller } from './tell-fronts.js';

/** A local port that is open. */
export interface OpenEnd {
  readonly end: LocalEnd;
  readonly localAddress: SocketAddress;
  close(drain: number): Promise<void>;
}

async function openEnd(
  end: LocalEnd,
  local: SocketAddress,
  client: ClientCore,
  given: LocalEnds,
  journal: Journal,
  verbose: boolean,
): Promise<OpenEnd> {
  const clock = systemClock;
  if (end.kind === 'udp') {
    const { target } = end.spec;
    const forward = await openUdpForward({
      sockets: client.sockets(),
      local,
      open: (handler, signal) => client.openRawUdp(target, handler, { signal }),
      clock,
      dataPath: given.dataPath,
      event: udpForwardTeller(journal, target, verbose),
    });
    return { end, localAddress: forward.localAddress, close: () => forward.close() };
  }
  const event = frontTeller(journal, verbose);
  const { user, associateAddress, dataPath } = given;
  const front =
    end.kind === 'tcp'
      ? await openTcpForward({ local, target: end.spec.target, ground: client, clock, dataPath, event })
      : await openFrontEnd({
          kind: end.kind,
          local,
          ground: client,
          clock,
          dataPath,
          event,
          ...(user ? { user } : {}),
          ...(associateAddress === undefined ? {} : { associateAddress }),
        });
  return { end, localAddress: front.localAddress, close: (drain) => front.close({ drain }) };
}

/** Opens them all, or none. Where localhost has no IPv6 address, IPv4 is enough. */
export async function openLocalEnds(
  client: ClientCore,
  given: LocalEnds,
  journal: Journal,
  verbose: boolean,
): Promise<readonly OpenEnd[]> {
  const opened: OpenEnd[] = [];
  try {
    for (const end of given.ends) {
      let { port } = end.spec;
      for (const [index, address] of end.spec.addresses.entries()) {
        try {
          const one = await openEnd(end, { address, port }, client, given, journal, verbose);
          port = one.localAddress.port;
          opened.push(one);
        } catch (error) {
          const absent = error instanceof BautaError && error.code === 'ERR_ADDRESS_UNAVAILABLE';
          if (!absent || index === 0) throw error;
        }
      }
    }
  } catch (error) {
    for (const one of opened) await one.close(0);
    throw error;
  }
  return opened;
}

import type { FrontEvent } from '../client/front/front-events.js';
import type { UdpForwardEvent } from '../client/udp-forward.js';
import type { Journal } from '../ops/journal.js';
import type { BautaError } from '../protocol/bauta-error.js';
import { formatHostPort } from '../protocol/target.js';
import type { SocketAddress } from '../quic/address.js';
import { errorObject, errorSentence } from './report-error.js';

/** Passes a warning on unless it is the same as the one before: a target that stays away is told once. */
type Warn = (key: string, warn: () => void) => void;

function onceInARow(verbose: boolean): { readonly warn: Warn; reset(): void } {
  let last: string | undefined;
  return {
    warn(key, warn) {
      if (key !== last || verbose) warn();
      last = key;
    },
    reset() {
      last = undefined;
    },
  };
}

function tellFailure(journal: Journal, subject: { readonly target: string }, error: BautaError): void {
  journal.warn(
    { event: 'tunnel-failed', ...subject, error: errorObject(error) },
    `no tunnel to ${subject.target}: ${errorSentence(error)}`,
  );
}

function addressText({ address, port }: SocketAddress): string {
  return formatHostPort(address, port);
}

/** Tells what the apps of local proxies and TCP forwards get. */
export function frontTeller(journal: Journal, verbose: boolean): (event: FrontEvent) => void {
  const { warn, reset } = onceInARow(verbose);
  return (event) => {
    const app = addressText(event.app);
    if (event.type === 'app-refused') {
      warn(`refused ${event.detail}`, () =>
        journal.warn(
          { event: 'app-refused', app: event.app, detail: event.detail },
          `${app} was refused: ${event.detail}`,
        ),
      );
      return;
    }
    const subject = { app: event.app, network: event.network, target: event.target };
    if (event.type === 'tunnel-failed') {
      warn(`${event.target} ${event.error.code}`, () => tellFailure(journal, subject, event.error));
      return;
    }
    reset();
    if (!verbose) return;
    const what = `${event.network.toUpperCase()} tunnel for ${app} to ${event.target}`;
    if (event.type === 'tunnel-opened') journal.tell({ event: 'tunnel-opened', ...subject }, what);
    else {
      const { dataPath, how } = event;
      journal.tell({ event: 'tunnel-closed', ...subject, reason: how, dataPath }, `${what} closed: ${how}`);
    }
  };
}

/** Tells what the peers of a UDP forward get. */
export function udpForwardTeller(
  journal: Journal,
  target: string,
  verbose: boolean,
): (event: UdpForwardEvent) => void {
  const { warn, reset } = onceInARow(verbose);
  return (event) => {
    const subject = { peer: event.peer, target };
    if (event.type === 'peer-failed') {
      warn(event.error.code, () => tellFailure(journal, subject, event.error));
      return;
    }
    reset();
    if (!verbose) return;
    const what = `tunnel for ${addressText(event.peer)} to ${target}`;
    if (event.type === 'peer-opened') journal.tell({ event: 'tunnel-opened', ...subject }, what);
    else {
      journal.tell(
        { event: 'tunnel-closed', ...subject, reason: event.reason, dataPath: event.dataPath },
        `${what} closed: ${event.reason}`,
      );
    }
  };
}

import type { ClientCore } from '../client/client-core.js';
import type { ClientEvent } from '../client/client-events.js';
import type { VersionAttempt } from '../client/version-attempts.js';
import type { Journal } from '../ops/journal.js';
import { formatHostPort } from '../protocol/target.js';
import { errorObject } from './report-error.js';

/** Names the proxy of a chain that something is said of. */
interface Place {
  readonly fields: { readonly hop?: number };
  readonly before: string;
}

function placeOf(hop: number | undefined): Place {
  return hop === undefined ? { fields: {}, before: '' } : { fields: { hop }, before: `hop ${hop + 1}: ` };
}

function attemptText(attempt: VersionAttempt): string {
  if (attempt.outcome === 'failed') return `${attempt.version}: ${attempt.error.message}`;
  const said = { won: 'chosen', cancelled: 'another was up first', 'not-tried': 'not needed' } as const;
  return `${attempt.version}: ${said[attempt.outcome]}`;
}

function tellAttempts(
  journal: Journal,
  attempts: readonly VersionAttempt[],
  verbose: boolean,
  { fields, before }: Place,
): void {
  for (const attempt of attempts) {
    const blocked = attempt.outcome === 'failed' && attempt.error.code === 'ERR_UDP_BLOCKED';
    if (!verbose && !blocked) continue;
    const error = attempt.outcome === 'failed' ? errorObject(attempt.error) : undefined;
    journal.tell(
      {
        event: 'attempt',
        ...fields,
        version: attempt.version,
        outcome: attempt.outcome,
        ...(error ? { error } : {}),
      },
      `${before}${attemptText(attempt)}`,
    );
  }
}

function tellClientEvent(journal: Journal, event: ClientEvent, verbose: boolean): void {
  const place = placeOf(event.hop);
  const { fields, before } = place;
  switch (event.type) {
    case 'connected':
      // HTTP/1.1 has a connection for each tunnel.
      if (event.version === 'h1' && !verbose) break;
      journal.tell(
        { event: 'connected', ...fields, version: event.version, remote: event.remoteAddress },
        `${before}connected over ${event.version} to ${formatHostPort(event.remoteAddress.address, event.remoteAddress.port)}`,
      );
      break;
    case 'disconnected':
      if (event.version === 'h1' && !verbose) break;
      journal.warn(
        { event: 'disconnected', ...fields, version: event.version },
        `${before}connection over ${event.version} is gone: ${event.detail}`,
      );
      break;
    case 'retry':
      journal.warn(
        { event: 'retry', ...fields, wait: event.wait, error: errorObject(event.error) },
        `${event.error.message} Trying again in ${(event.wait / 1_000).toFixed(1)} s.`,
      );
      break;
    case 'chosen':
      tellAttempts(journal, event.attempts, verbose, place);
      break;
    case 'tcp':
      if (!verbose) break;
      journal.tell(
        {
          event: 'tcp-form',
          ...fields,
          form: event.form,
          ...(event.why ? { error: errorObject(event.why) } : {}),
        },
        `${before}TCP by ${event.form}${event.why ? `: ${event.why.message}` : ''}`,
      );
      break;
    case 'attempt':
    case 'attempt-failed':
    case 'closed':
      break;
  }
}

/** What was tried until a client was up. */
export function tellStart(client: ClientCore, journal: Journal, verbose: boolean): void {
  const { hops } = client.info();
  for (const [hop, info] of hops.entries()) {
    tellAttempts(journal, info.attempts, verbose, placeOf(hops.length > 1 ? hop : undefined));
  }
}

/** Tells what happens to a client until it is closed. */
export async function tellClientEvents(
  client: ClientCore,
  journal: Journal,
  verbose: boolean,
): Promise<void> {
  for await (const event of client.events()) tellClientEvent(journal, event, verbose);
}

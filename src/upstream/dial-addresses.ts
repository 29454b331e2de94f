import type { Clock } from '../clock/clock.js';
import { raceAddresses } from './happy-eyeballs.js';
import type { TransportConnection } from './transport.js';
import { UpstreamError } from './upstream-error.js';

/**
 * Dials addresses in their order, each 250 ms after the one before or at once after its failure (RFC 8305
 * section 5). The first that is up is taken. Rejects with the reason of the first address that failed.
 */
export async function dialAddresses(
  addresses: readonly string[],
  clock: Clock,
  dial: (address: string, signal: AbortSignal) => Promise<TransportConnection>,
  signal: AbortSignal,
): Promise<TransportConnection> {
  const discard = (connection: TransportConnection): void => {
    connection.close().catch(() => undefined);
  };
  const outcome = await raceAddresses(addresses, dial, discard, clock, signal);
  if (outcome.kind === 'won') return outcome.value;
  if (outcome.kind === 'aborted') throw new UpstreamError({ kind: 'aborted', of: 'dial' }, signal.reason);
  const errors = outcome.standings.flatMap((standing) =>
    standing.kind === 'failed' ? [standing.error] : [],
  );
  if (errors.length === 1) throw errors[0];
  throw new AggregateError(errors, 'no address could be reached');
}

import type { Clock } from '../clock/clock.js';
import { BautaError } from '../protocol/bauta-error.js';
import { raceAddresses } from '../upstream/happy-eyeballs.js';
import { allAddressesFailed, dialError } from './dial-failure.js';

/**
 * Dials the addresses in their order, each 250 ms after the one before or at once after its failure
 * (RFC 8305 section 5); the first that is up is taken. Rejects with the most telling reason.
 */
export async function dialFirst<T>(
  addresses: readonly string[],
  dial: (address: string, signal: AbortSignal) => Promise<T>,
  discard: (value: T) => void,
  clock: Clock,
  signal: AbortSignal,
): Promise<T> {
  const outcome = await raceAddresses(addresses, dial, discard, clock, signal);
  if (outcome.kind === 'won') return outcome.value;
  if (outcome.kind === 'aborted') throw new BautaError('ERR_ABORTED', { cause: signal.reason });
  throw allAddressesFailed(
    addresses.map((address, index) => {
      const standing = outcome.standings[index];
      return { address, error: dialError(standing?.kind === 'failed' ? standing.error : undefined) };
    }),
  );
}

import { isIP } from 'node:net';
import type { Asking } from '../tunnel/asker.js';
import type { NameResolution } from './name-resolution.js';
import { type Refusal, refusal } from './refusal.js';
import type { AskedTarget } from './target-route.js';
import type { TargetRules } from './target-rules.js';

export interface AllowedAddressesOptions {
  readonly names: NameResolution;
  readonly rules: () => TargetRules;
}

/**
 * The addresses of a target that may be dialled, in canonical form and in the order in which they are to be tried:
 * a name is resolved, and every address is judged. `tcpPort` is the port where it is one of TCP. Never rejects.
 */
export async function allowedAddresses(
  options: AllowedAddressesOptions,
  { host }: AskedTarget,
  tcpPort: number | undefined,
  owner: string,
  asker: Asking,
): Promise<readonly string[] | Refusal> {
  const rules = options.rules();
  let name: string | undefined;
  let candidates: readonly string[] = [host];
  if (isIP(host) === 0) {
    name = host;
    const denied = rules.judgeName(name);
    if (denied) return refusal(denied.code, denied.reason);
    const found = await resolved(options.names, name, owner, asker.signal);
    if ('kind' in found) return found;
    candidates = found;
  }

  const allowed: string[] = [];
  let refused: Refusal | undefined;
  for (const address of candidates) {
    const verdict = rules.judge(name, address, tcpPort);
    if (verdict.allowed) allowed.push(verdict.address);
    else refused ??= refusal(verdict.code, verdict.reason);
  }
  if (allowed.length === 0) return refused ?? refusal('ERR_TARGET_NAME', 'no address');
  return allowed;
}

async function resolved(
  names: NameResolution,
  name: string,
  owner: string,
  signal: AbortSignal,
): Promise<readonly string[] | Refusal> {
  const resolution = await names.resolve(name, owner, signal);
  switch (resolution.kind) {
    case 'addresses':
      return resolution.addresses;
    case 'timeout':
      return refusal('ERR_TARGET_NAME_TIMEOUT', 'the name server did not answer');
    case 'busy':
      return refusal('ERR_TOO_MANY', 'too many names are being looked up');
    case 'error': {
      const { rcode } = resolution;
      return refusal('ERR_TARGET_NAME', rcode ?? 'the name servers cannot be asked', { rcode });
    }
  }
}

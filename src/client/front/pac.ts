import { parseAddress } from '../../protocol/address.js';
import { isLoopback } from '../forward-spec.js';

/** Where a browser finds the file. */
export const PAC_PATH = '/proxy.pac';

/**
 * The `HOST:PORT` of a Host field that names this machine: a loopback address or localhost. Undefined for any
 * other, which a page can have pointed here (DNS rebinding).
 */
export function pacHost(host: string): string | undefined {
  const match = /^(?:\[([0-9a-f:]+)\]|([0-9.]+|localhost))(?::\d{1,5})?$/i.exec(host);
  const address = match?.[1] ?? match?.[2];
  if (address === undefined) return undefined;
  if (address.toLowerCase() === 'localhost') return host;
  return parseAddress(address) && isLoopback(address) ? host : undefined;
}

/**
 * A proxy auto-configuration file: everything goes through the front-end, and nothing around it when it is
 * away. Browsers leave this machine's own names out by themselves.
 */
export function proxyAutoConfiguration(frontEnd: string): string {
  return `function FindProxyForURL(url, host) {\n  return ${JSON.stringify(`PROXY ${frontEnd}`)};\n}\n`;
}

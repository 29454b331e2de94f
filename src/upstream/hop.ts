import { parseAccessLink } from '../protocol/access-link.js';
import { formatBasicCredentials } from '../protocol/basic-credentials.js';
import { BautaError } from '../protocol/bauta-error.js';
import type { Fields } from '../protocol/fields.js';
import { canonicalPin } from '../protocol/pin.js';
import { formatHostPort } from '../protocol/target.js';
import { defaultTemplates, expandTemplate, parseTemplate, type UriTemplate } from '../protocol/template.js';
import type { ServerTrust } from '../quic/tls.js';
import type { ProxyAccess } from './proxy-access.js';

/** A proxy: its access link, or the link and what does not fit into it. */
export type Hop =
  | string
  | {
      /** An access link, with or without name, password and pins. */
      readonly url: string;
      /** PEM roots to trust instead of the system's; not with a pin, which replaces them. */
      readonly ca?: string | Buffer;
      /** Pins of the proxy's public key, besides those of the link: `sha256-…`. */
      readonly pin?: readonly string[];
      /** PEM chain and key of a client certificate. */
      readonly cert?: string | Buffer;
      readonly key?: string | Buffer;
      /** Gives a bearer token (RFC 6750) for each tunnel; instead of name and password. */
      readonly token?: () => Promise<string>;
    };

function wrong(detail: string): BautaError {
  return new BautaError('ERR_USAGE', { detail });
}

function trustOf(pins: readonly string[], ca: string | Buffer | undefined): ServerTrust {
  if (pins.length > 0) {
    if (ca !== undefined) throw wrong('a pin replaces the check of the chain: give a pin or ca, not both');
    return { mode: 'pin', pins };
  }
  return ca === undefined ? { mode: 'system' } : { mode: 'ca', ca };
}

async function bearer(token: () => Promise<string>): Promise<Fields> {
  let text: string;
  try {
    text = await token();
  } catch (error) {
    throw new BautaError('ERR_CREDENTIALS', { detail: 'no token could be had', cause: error });
  }
  // RFC 6750 section 2.1: b64token.
  if (!/^[A-Za-z0-9._~+/-]+=*$/.test(text))
    throw new BautaError('ERR_CREDENTIALS', { detail: 'not a bearer token' });
  return [['authorization', `Bearer ${text}`]];
}

/** What a hop says. Throws `ERR_LINK`, or `ERR_USAGE` for parts that do not go together. */
export function accessOf(hop: Hop): ProxyAccess {
  const given = typeof hop === 'string' ? { url: hop } : hop;
  const link = parseAccessLink(given.url);
  const pins = [...link.pins];
  for (const text of given.pin ?? []) {
    const pin = canonicalPin(text);
    if (pin === undefined) throw wrong('a pin is sha256- and 43 characters of base64url');
    pins.push(pin);
  }
  const { cert, key, token } = given;
  if ((cert === undefined) !== (key === undefined)) throw wrong('cert and key belong together');
  if (token && link.user) throw wrong('give a token or a name and password, not both');
  const { user } = link;
  const basic: Fields = user ? [['authorization', formatBasicCredentials(user)]] : [];
  const udpTemplate = parseTemplate(link.template ?? defaultTemplates.udp);
  const tcpTemplate = parseTemplate(defaultTemplates.tcp);
  const pathOf =
    (template: UriTemplate): ProxyAccess['udpPath'] =>
    ({ host, port }) =>
      expandTemplate(template, { target_host: host, target_port: String(port) });
  return {
    host: link.host,
    port: link.port,
    authority: formatHostPort(link.host, link.port),
    trust: trustOf(pins, given.ca),
    ...(cert !== undefined && key !== undefined ? { certificate: { cert, key } } : {}),
    credentials: async () => (token ? bearer(token) : basic),
    tcpPath: pathOf(tcpTemplate),
    udpPath: pathOf(udpTemplate),
  };
}

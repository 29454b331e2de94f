import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { machineAddresses, reachOf } from '../ops/listen-reach.js';
import { CERTIFICATE_FILE } from '../ops/own-certificate.js';
import type { ProxyService, ProxyServiceSettings } from '../ops/proxy-service.js';
import { formatAccessLink, parseAccessLink } from '../protocol/access-link.js';
import { formatHostPort } from '../protocol/target.js';
import type { ListeningAddress } from '../proxy/events.js';
import type { Hop } from '../upstream/hop.js';

/** Host and port by which a client best reaches the proxy. */
export function linkAddress(
  addresses: readonly ListeningAddress[],
  publicAddresses: readonly string[],
): { readonly host: string; readonly port: number } {
  const [first] = addresses;
  const port = first?.port ?? 0;
  const open = addresses.find(({ address }) => reachOf(address) !== 'this-machine');
  const [known] = publicAddresses;
  if (known !== undefined) return { host: known, port: (open ?? first)?.port ?? port };
  if (!open) {
    const both =
      addresses.some(({ address }) => isIP(address) === 6) && addresses.every((one) => one.port === port);
    return { host: both ? 'localhost' : (first?.address ?? 'localhost'), port };
  }
  if (reachOf(open.address) === 'one-network') return { host: open.address, port: open.port };
  return { host: machineAddresses()[0] ?? '127.0.0.1', port: open.port };
}

function listeningText(addresses: readonly ListeningAddress[]): string {
  return addresses
    .filter(({ transport }) => transport === 'udp')
    .map(({ address, port }) => formatHostPort(address, port))
    .join(', ');
}

function reachText(addresses: readonly ListeningAddress[]): string {
  const reaches = addresses.map(({ address }) => reachOf(address));
  if (reaches.includes('everywhere')) {
    return `every network of this machine (${machineAddresses().join(', ') || 'it has no address but loopback'})`;
  }
  if (reaches.includes('one-network')) return 'the networks of these addresses';
  return 'this machine only; for others: --listen :443';
}

function targetsText(settings: ProxyServiceSettings): string {
  const { allow = [], only = [], deny = [] } = settings.targets;
  const parts = [only.length > 0 ? `only ${only.join(', ')}` : 'public addresses'];
  if (allow.length > 0) parts.push(`and ${allow.join(', ')}`);
  if (deny.length > 0) parts.push(`never ${deny.join(', ')}`);
  if (only.length === 0 && allow.length === 0) parts.push('(others: --allow-target CIDR)');
  return parts.join(' ');
}

/** The next hop without its credentials. */
export function nextHopText(hop: Hop): string {
  const { host, port } = parseAccessLink(typeof hop === 'string' ? hop : hop.url);
  return formatHostPort(host, port);
}

/** The same by a name that a certificate has, where it was given: clients check it against the link. */
export function certifiedHost(certificate: string, host: string): string {
  const leaf = new X509Certificate(certificate);
  if ((isIP(host) === 0 ? leaf.checkHost(host) : leaf.checkIP(host)) !== undefined) return host;
  const names = [...(leaf.subjectAltName ?? '').matchAll(/(?:DNS|IP Address):([^,\s*"]+)(?=,|$)/g)];
  return names[0]?.[1] ?? host;
}

function linkHost(
  service: ProxyService,
  settings: ProxyServiceSettings,
): { readonly host: string; readonly port: number } {
  const { host, port } = linkAddress(service.proxy.addresses, settings.publicAddresses);
  return { host: settings.certificate === undefined ? host : certifiedHost(service.certificate, host), port };
}

/** The link of the proxy, with credentials where they are given. */
export function serviceLink(
  service: ProxyService,
  settings: ProxyServiceSettings,
  user: { readonly name: string; readonly password: string } | undefined,
): string {
  const { host, port } = linkHost(service, settings);
  return formatAccessLink({
    host,
    port,
    user,
    pins: settings.certificate === undefined ? [service.pin] : [],
    template: settings.template,
  });
}

/** The file that the whole link is kept in, so that it need not be shown: `bauta client - < FILE`. */
const LINK_FILE = 'link';

/** Keeps the link with the made user's password, readable by its owner only; undefined where no user was made. */
export async function keepLink(
  service: ProxyService,
  settings: ProxyServiceSettings,
): Promise<string | undefined> {
  const { state, generated } = service;
  if (!state || !generated) return undefined;
  await state.write(LINK_FILE, `${serviceLink(service, settings, generated)}\n`);
  return state.file(LINK_FILE);
}

/** Names of the users of the command line; a password never leaves it. */
function configuredNames({ users }: ProxyServiceSettings): string[] {
  return users.map((user) => user.slice(0, Math.max(0, user.indexOf(':'))));
}

/** Whom the shown link is for: the made user where the password may be shown, or the first given with none. */
function linkUser(
  service: ProxyService,
  settings: ProxyServiceSettings,
  shown: boolean,
): { readonly name: string; readonly password: string } | undefined {
  if (shown) return service.generated;
  const [name] = configuredNames(settings);
  const asked = !settings.noAuth && !service.generated && name !== undefined;
  return asked ? { name, password: 'PASSWORD' } : undefined;
}

function credentialLines(
  service: ProxyService,
  settings: ProxyServiceSettings,
  shown: boolean,
  linkFile: string | undefined,
): string[] {
  const { generated } = service;
  if (settings.noAuth) return ['user            none needed: everybody who connects is let in'];
  const names = configuredNames(settings);
  if (!generated && names.length > 0) {
    return [`user            ${names.join(', ')}; their password goes into the link for PASSWORD`];
  }
  if (!generated) return ['user            as configured; put NAME:PASSWORD@ before the host of the link'];
  return [
    `user            ${generated.name}`,
    shown
      ? `password        ${generated.password} (shown this once; kept in ${generated.file})`
      : `password        in ${generated.file}, and with the whole link in ${linkFile}: only you can read them`,
  ];
}

/** The lines of a start, for a person. The password is shown when it was made just now and on a terminal. */
export function announcement(
  service: ProxyService,
  settings: ProxyServiceSettings,
  interactive: boolean,
  linkFile: string | undefined,
): string[] {
  const { generated, state } = service;
  const { addresses } = service.proxy;
  const lines = [
    `listening on    ${listeningText(addresses)} (HTTP/3 over UDP, HTTP/2 and HTTP/1.1 over TCP)`,
    'serves          TCP (CONNECT and connect-tcp), plain http:// requests, UDP (CONNECT-UDP)',
    `reachable from  ${reachText(addresses)}`,
    `targets         ${targetsText(settings)}`,
    `certificate     ${service.own ? `self-signed, until ${service.own.expires.toISOString().slice(0, 10)}` : 'yours'}`,
    `pin             ${service.pin}`,
  ];
  if (settings.via !== undefined) lines.push(`next hop        ${nextHopText(settings.via)}`);
  if (state) lines.push(`state           ${state.path}`);
  const shown = generated?.fresh === true && interactive;
  const link = serviceLink(service, settings, linkUser(service, settings, shown));
  lines.push(...credentialLines(service, settings, shown, linkFile), `link            ${link}`);
  // Standard input keeps a password off the command line, and off this screen.
  const [argument, input] = shown || linkFile === undefined ? [`'${link}'`, ''] : ['-', ` < '${linkFile}'`];
  lines.push(
    '',
    'Try, in another terminal:',
    `  npx bauta exec ${argument} -- curl https://example.com${input}`,
    `  npx bauta client ${argument}${input}`,
    `  npx bauta client ${argument} --udp 5353=1.1.1.1:53${input}`,
    `  npx bauta doctor ${argument}${input}`,
  );
  if (service.own && state) {
    const { host, port } = linkHost(service, settings);
    const { name = 'NAME', password = 'PASSWORD' } = linkUser(service, settings, shown) ?? {};
    const login = settings.noAuth ? '' : `${name}:${password}@`;
    lines.push(
      'Without bauta, as an HTTPS proxy of curl or a browser that trusts the certificate:',
      `  curl --proxy 'https://${login}${formatHostPort(host, port)}' --proxy-cacert '${state.file(CERTIFICATE_FILE)}' https://example.com`,
    );
  }
  return lines;
}

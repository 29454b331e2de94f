import { createHmac } from 'node:crypto';
import type { Pem } from '../quic/tls.js';
import { alpnOf, type UpstreamTarget } from './target.js';

/** The key of a target: version, host and port to read, and a hash of all else that makes a difference. */
export type Fingerprint = (target: UpstreamTarget) => string;

type Plain = string | number | boolean | undefined | readonly Plain[];

/** The blocks of a PEM text without regard to their order, repetition and layout. */
function pemSet(pem: Pem): Plain {
  const text = typeof pem === 'string' ? pem : Buffer.from(pem).toString('latin1');
  const blocks = text.match(/-----BEGIN [^-]+-----[^-]*-----END [^-]+-----/g);
  if (!blocks) return text;
  return [...new Set(blocks.map((block) => block.replace(/\s+/g, '')))].sort();
}

function trustOf({ trust }: UpstreamTarget['tls']): Plain {
  switch (trust.mode) {
    case 'ca':
      return ['ca', pemSet(trust.ca)];
    case 'pin':
      return ['pin', [...new Set(trust.pins)].sort()];
    default:
      return [trust.mode];
  }
}

/** The entries of an object of plain values, without regard to their order. */
function entries(options: object | undefined): Plain {
  const plain = (value: unknown): Plain => {
    if (typeof value === 'object' && value !== null) return entries(value);
    return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
      ? // JSON has no Infinity.
        String(value)
      : undefined;
  };
  return Object.entries(options ?? {})
    .filter(([, value]) => value !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, value]) => [name, plain(value)]);
}

function text(value: Pem | undefined): Plain {
  return value === undefined || typeof value === 'string' ? value : Buffer.from(value).toString('latin1');
}

/**
 * Two targets have the same fingerprint only where a connection to one may serve the other: trust, client
 * certificate, ALPN, server name, credentials, the proxies before it, settings and limits are all in it. The
 * hash is keyed with `secret`, so that a fingerprint in a log is no way to try passwords.
 */
export function createFingerprint(secret: Uint8Array): Fingerprint {
  const known = new WeakMap<UpstreamTarget, string>();
  return (target) => {
    const before = known.get(target);
    if (before !== undefined) return before;
    const { host, port, version, tls } = target;
    const what: Plain = [
      trustOf(tls),
      [text(tls.certificate?.cert), text(tls.certificate?.key)],
      tls.alpn ?? [alpnOf[version]],
      (tls.serverName ?? host).toLowerCase(),
      tls.keyLogFile,
      target.credentials,
      target.proxyPath,
      entries(target.h3Settings),
      entries(target.h3Limits),
      entries(target.quic),
    ];
    // Undefined becomes null, which no text is: absent and empty stay two things.
    const hash = createHmac('sha256', secret).update(JSON.stringify(what)).digest('base64url').slice(0, 22);
    const place = host.includes(':') ? `[${host}]` : host;
    const made = `${version}://${place.toLowerCase()}:${port}#${hash}`;
    known.set(target, made);
    return made;
  };
}

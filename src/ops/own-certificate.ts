import { createPrivateKey, X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { BautaError } from '../protocol/bauta-error.js';
import { publicKeyPin } from './public-key-pin.js';
import type { StateDirectory } from './state-directory.js';

/** Makes a self-signed certificate for names and literal addresses; with a PEM key it is used again. */
export type MakeSelfSigned = (
  names: readonly string[],
  days: number,
  key?: string,
) => { readonly cert: string; readonly key: string };

/** The certificate that this proxy made for itself. */
export interface OwnCertificate {
  readonly cert: string;
  readonly key: string;
  readonly pin: string;
  readonly expires: Date;
  readonly origin: 'made' | 'renewed' | 'kept';
  /** Writes what is not in the state directory yet: a start that fails changes nothing there. */
  keep(): Promise<void>;
}

/** For others too: what is to be trusted, and nothing secret. */
export const CERTIFICATE_FILE = 'certificate.pem';
const KEY_FILE = 'key.pem';
const VALID_DAYS = 397;
/** Renewed from this many days before its end. */
const RENEW_DAYS = 30;
const DAY = 86_400_000;

const KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]+-----END [A-Z ]*PRIVATE KEY-----\n?/;
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/;

interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** A spoilt file is not replaced: with the key the pin that clients know would be lost. */
function pairOf(certificate: string, key: string | undefined, file: string): Pair {
  const cert = CERTIFICATE.exec(certificate)?.[0];
  try {
    if (cert && key && new X509Certificate(cert).checkPrivateKey(createPrivateKey(key))) return { cert, key };
  } catch {
    // Told below, as what it means.
  }
  throw spoilt(file);
}

function spoilt(file: string): BautaError {
  return new BautaError('ERR_CERTIFICATE_FILE', {
    detail: `${file} is spoilt, or not of the same pair as ${KEY_FILE}`,
    hint: `Restore it, or remove it and ${KEY_FILE} for a new certificate with another pin.`,
  });
}

/** The key of a certificate that was lost. */
function lonelyKey(key: string | undefined, file: string): string {
  try {
    if (key !== undefined) createPrivateKey(key);
    if (key !== undefined) return key;
  } catch {
    // Told below, as what it means.
  }
  throw spoilt(file);
}

function covers(certificate: X509Certificate, name: string): boolean {
  return (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined;
}

function stillGood(cert: string, names: readonly string[], now: number): boolean {
  const certificate = new X509Certificate(cert);
  if (Date.parse(certificate.validTo) - now < RENEW_DAYS * DAY) return false;
  return names.every((name) => covers(certificate, name));
}

/**
 * Reads the certificate kept in the state directory; makes one when there is none, and renews it with the same
 * key (the pin survives) when it ends within 30 days or lacks one of the names. `now` is Unix milliseconds. One
 * file that holds both, as they were once kept, becomes two.
 */
export async function ownCertificate(
  directory: StateDirectory,
  make: MakeSelfSigned,
  names: readonly string[],
  now: number,
): Promise<OwnCertificate> {
  const text = await directory.read(CERTIFICATE_FILE);
  const keyText = await directory.read(KEY_FILE);
  const together = text !== undefined && KEY.test(text);
  const key = KEY.exec(keyText ?? text ?? '')?.[0];
  const kept = text === undefined ? undefined : pairOf(text, key, directory.file(CERTIFICATE_FILE));
  const old = kept?.key ?? (keyText === undefined ? undefined : lonelyKey(key, directory.file(KEY_FILE)));
  const write = async (pair: Pair): Promise<void> => {
    // The key first: a certificate without it would be of no use.
    if (keyText === undefined || old === undefined) {
      await directory.write(KEY_FILE, `${pair.key.trimEnd()}\n`);
    }
    await directory.write(CERTIFICATE_FILE, `${pair.cert.trimEnd()}\n`);
  };
  const result = (pair: Pair, origin: OwnCertificate['origin'], changed: boolean): OwnCertificate => ({
    cert: pair.cert,
    key: pair.key,
    pin: publicKeyPin(pair.cert),
    expires: new Date(new X509Certificate(pair.cert).validTo),
    origin,
    keep: async () => {
      if (changed) await write(pair);
    },
  });
  if (kept && stillGood(kept.cert, names, now)) return result(kept, 'kept', together);
  const made = make(names, VALID_DAYS, old);
  return result(made, old === undefined ? 'made' : 'renewed', true);
}

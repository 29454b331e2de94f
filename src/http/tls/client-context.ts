import { isIP } from 'node:net';
import { createSecureContext, type SecureContext } from 'node:tls';
import { BautaError } from '../../protocol/bauta-error.js';
import type { ClientTls } from '../../quic/tls.js';
import { certifiedKey } from './certified-key.js';
import { anchorsIn, certificatePem } from './pem-text.js';
import { isPin } from './pin.js';
import { systemRoots } from './system-roots.js';

/** What the handshakes of one `ClientTls` have in common; making it takes some 20 ms with the system's roots. */
export interface ClientContext {
  readonly secureContext: SecureContext;
  /** The trusted certificates, as base64 DER; empty where trust has another form. */
  readonly anchors: ReadonlySet<string>;
}

/** Throws `BautaError` ERR_LINK for a server name or a pin that is none. */
export function checkClientTls({ serverName, trust }: ClientTls): void {
  if (!isServerName(serverName)) {
    throw new BautaError('ERR_LINK', { detail: `"${serverName}" is neither a DNS name nor an IP address` });
  }
  if (trust.mode !== 'pin') return;
  const bad = trust.pins.find((pin) => !isPin(pin));
  if (bad !== undefined || trust.pins.length === 0) {
    throw new BautaError('ERR_LINK', {
      detail: bad === undefined ? 'there is no pin' : `"${bad}" is not a pin`,
    });
  }
}

/** Rejects with a `BautaError` on anything in the options that cannot be used. */
export async function createClientContext(tls: ClientTls): Promise<ClientContext> {
  checkClientTls(tls);
  const anchors = await anchorsOf(tls);
  try {
    const own = tls.certificate && certifiedKey(tls.certificate);
    const secureContext = createSecureContext({
      minVersion: 'TLSv1.2',
      ca: Array.from(anchors, certificatePem),
      // An intermediate may be an anchor, as in the QUIC engine.
      allowPartialTrustChain: true,
      ...(own && { cert: own.cert, key: own.key }),
    });
    return { secureContext, anchors };
  } catch (error) {
    throw new BautaError('ERR_CERTIFICATE_FILE', { detail: messageOf(error), cause: error });
  }
}

async function anchorsOf({ trust }: ClientTls): Promise<ReadonlySet<string>> {
  switch (trust.mode) {
    case 'system': {
      const roots = await systemRoots(process.env);
      if (roots.size > 0) return roots;
      throw new BautaError('ERR_CERTIFICATE_FILE', {
        detail: 'this system has no trusted root certificates',
        hint: 'Install its CA certificates package, or name a CA file or a pin.',
      });
    }
    case 'ca': {
      const anchors = anchorsIn(trust.ca);
      if (anchors.size > 0) return anchors;
      throw new BautaError('ERR_CERTIFICATE_FILE', { detail: 'the CA set holds no usable certificate' });
    }
    case 'pin':
    case 'insecure':
      return new Set();
  }
}

function isServerName(name: string): boolean {
  if (isIP(name) !== 0) return true;
  return name.length <= 253 && /^(?!-)[\w-]{1,63}(\.[\w-]{1,63})*\.?$/.test(name);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

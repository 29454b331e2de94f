import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import tls from 'node:tls';
import { certificateBlocks } from './pem-text.js';

/** Where Linux distributions keep all roots in one file; the first that exists counts. */
const bundles = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

const directories = ['/etc/ssl/certs', '/etc/pki/tls/certs'];

/**
 * The roots that the system's administrator trusts, each as base64 DER; the same that the QUIC engine takes:
 * `SSL_CERT_FILE` and `SSL_CERT_DIR` if either is set, the platform's own places otherwise. Empty if there are none.
 */
export async function systemRoots(environment: NodeJS.ProcessEnv): Promise<ReadonlySet<string>> {
  const file = environment['SSL_CERT_FILE'];
  const named =
    environment['SSL_CERT_DIR']?.split(process.platform === 'win32' ? ';' : ':').filter(Boolean) ?? [];
  if (file !== undefined || named.length > 0) {
    return new Set([...(file === undefined ? [] : await rootsIn(file)), ...(await rootsOf(named))]);
  }
  if (process.platform !== 'linux') return new Set(platformRoots().flatMap(certificateBlocks));
  for (const bundle of bundles) {
    const roots = await rootsIn(bundle);
    if (roots.length > 0) return new Set(roots);
  }
  return new Set(await rootsOf(directories));
}

/** Node 22.15 and newer read the platform's store; older ones have only their own list. */
function platformRoots(): readonly string[] {
  const { getCACertificates } = tls as { getCACertificates?: (kind: 'system') => string[] };
  return getCACertificates?.('system') ?? tls.rootCertificates;
}

async function rootsIn(file: string): Promise<readonly string[]> {
  try {
    return certificateBlocks(await readFile(file));
  } catch {
    return [];
  }
}

async function rootsOf(paths: readonly string[]): Promise<readonly string[]> {
  const roots: string[] = [];
  for (const path of paths) {
    for (const name of await readdir(path).catch(() => [])) roots.push(...(await rootsIn(join(path, name))));
  }
  return roots;
}

import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { hostname } from 'node:os';
import { isDeepStrictEqual } from 'node:util';
import { BautaError } from '../protocol/bauta-error.js';
import { createProxy } from '../proxy/create-proxy.js';
import type { ProxyEvent } from '../proxy/events.js';
import { parseListen } from '../proxy/listen-address.js';
import type { ProxyTls } from '../proxy/options.js';
import { createPasswordStore, type PasswordStore } from '../proxy/password-store.js';
import type { RunningProxy } from '../proxy/proxy.js';
import type { TargetLists } from '../proxy/target-rules.js';
import { parseUsers, readUserFile } from '../proxy/user-file.js';
import type { CongestionControl } from '../quic/congestion.js';
import type { DataPath } from '../tunnel/data-path.js';
import type { Hop } from '../upstream/hop.js';
import { type GeneratedUser, generatedUser, splitUser } from './generated-user.js';
import { keptSecret } from './kept-secret.js';
import { listenHost, listensLocally, machineAddresses } from './listen-reach.js';
import { type MakeSelfSigned, type OwnCertificate, ownCertificate } from './own-certificate.js';
import { publicKeyPin } from './public-key-pin.js';
import { openStateDirectory, type StateDirectory } from './state-directory.js';
import { ownState, type StateOwner } from './state-owner.js';

/** What an operator set; nothing is required. Times in milliseconds. */
export interface ProxyServiceSettings {
  readonly listen: readonly string[];
  /** `NAME:PASSWORD` each. */
  readonly users: readonly string[];
  /** The text of `BAUTA_USERS`. */
  readonly userLines: string | undefined;
  readonly userFile: string | undefined;
  readonly noAuth: boolean;
  readonly openToEveryone: boolean;
  readonly certificate: { readonly cert: string; readonly key: string } | undefined;
  readonly stateDirectory: string;
  readonly targets: TargetLists;
  /** Paths of UDP and of connect-tcp tunnels. */
  readonly template: string | undefined;
  readonly tcpTemplate: string | undefined;
  /** Where all tunnels are forwarded. */
  readonly via: Hop | undefined;
  /** Reads the next hop again, where files belong to it. */
  readonly readVia: (() => Promise<Hop>) | undefined;
  readonly publicAddresses: readonly string[];
  readonly drainTimeout: number;
  readonly keyLogFile: string | undefined;
  readonly dataPath: DataPath;
  readonly congestion: CongestionControl;
  /** Threads for QUIC connections; undefined: as the machine suggests. */
  readonly shards: number | undefined;
}

export interface ProxyServiceParts {
  readonly makeSelfSigned: MakeSelfSigned;
  /** Unix milliseconds. */
  readonly now: () => number;
  readonly event: (event: ProxyEvent) => void;
}

/** A proxy with the files and the state that belong to it. */
export interface ProxyService {
  readonly proxy: RunningProxy;
  /** `sha256-…` of the certificate's public key. */
  readonly pin: string;
  /** The certificate made here; undefined with one of the operator's. */
  readonly own: OwnCertificate | undefined;
  /** The user made here; undefined where users are set or none is needed. */
  readonly generated: GeneratedUser | undefined;
  readonly state: StateDirectory | undefined;
  /** The certificate that was started with, PEM. */
  readonly certificate: string;
  /** Process number of another proxy that uses the state directory too. */
  readonly otherOwner: number | undefined;
  /** Takes this process's mark out of the state directory; for the end. */
  leaveState(): Promise<void>;
  /**
   * Reads certificate, users and the roots of the next hop again. What cannot be used is told as an error, and what was in use stays.
   */
  reload(): Promise<ReloadOutcome>;
}

export interface ReloadOutcome {
  readonly certificate: 'replaced' | 'unchanged' | BautaError;
  readonly users: number | 'unchanged' | BautaError;
  readonly via: 'replaced' | 'unchanged' | BautaError;
}

function asError(error: unknown): BautaError {
  return error instanceof BautaError ? error : new BautaError('ERR_INTERNAL', { cause: error });
}

/** Where it is not the content that is wrong. */
const UNREADABLE = 'Check the path, and that this user may read the file.';

async function readPem(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new BautaError('ERR_CERTIFICATE_FILE', {
      detail: `${path}: ${reason}`,
      hint: UNREADABLE,
      cause: error,
    });
  }
}

async function readPair(files: { readonly cert: string; readonly key: string }): Promise<ProxyTls> {
  const [cert, key] = await Promise.all([readPem(files.cert), readPem(files.key)]);
  return { cert, key };
}

/** What the self-signed certificate is made for: each name or address by which clients may come. */
function certificateNames(settings: ProxyServiceSettings): string[] {
  const names = new Set(['localhost', '127.0.0.1', '::1', ...settings.publicAddresses]);
  for (const listen of settings.listen) {
    const host = listenHost(listen);
    if (host !== '' && host !== '*' && host !== '::' && host !== '0.0.0.0') names.add(host);
    else for (const name of [hostname(), ...machineAddresses()]) names.add(name);
  }
  // A last label of digits would be an address (RFC 3696 section 2), and is none.
  const isName = (name: string): boolean => /^[A-Za-z0-9.-]{1,253}$/.test(name) && !/(^|\.)\d+$/.test(name);
  return [...names].filter((name) => isIP(name) !== 0 || isName(name));
}

async function configuredUsers(settings: ProxyServiceSettings): Promise<(readonly [string, string])[]> {
  const users = new Map<string, string>();
  const add = (entries: readonly (readonly [string, string])[]): void => {
    for (const [name, secret] of entries) users.set(name, secret);
  };
  if (settings.userFile !== undefined) add(await readUserFile(settings.userFile));
  if (settings.userLines !== undefined) add(parseUsers(settings.userLines, 'BAUTA_USERS'));
  add(settings.users.map((text) => splitUser(text, '--user')));
  return [...users];
}

function checkAddresses({ listen, publicAddresses }: ProxyServiceSettings): void {
  for (const text of listen) parseListen(text);
  for (const text of publicAddresses) {
    if (isIP(text) === 0) {
      throw new BautaError('ERR_USAGE', {
        detail: `--public-address ${text} is not an address`,
        hint: 'For example 203.0.113.7 or 2001:db8::7',
      });
    }
  }
}

function checkOpenness(settings: ProxyServiceSettings): void {
  if (!settings.noAuth) return;
  const configured =
    settings.users.length > 0 || settings.userFile !== undefined || settings.userLines !== undefined;
  if (configured) {
    throw new BautaError('ERR_USAGE', { detail: '--no-auth and users exclude each other' });
  }
  const reachable = settings.listen.filter((listen) => !listensLocally(listen));
  if (reachable.length > 0 && !settings.openToEveryone) {
    throw new BautaError('ERR_OPEN_PROXY', { detail: reachable.join(', ') });
  }
}

/**
 * Starts a proxy as `bauta proxy` does: certificate, users and state are made where they are missing. Rejects
 * with `BautaError`: `ERR_OPEN_PROXY`, `ERR_STATE_DIR`, `ERR_CERTIFICATE_FILE`, `ERR_USAGE`, and those of
 * `createProxy`.
 */
export async function startProxyService(
  settings: ProxyServiceSettings,
  parts: ProxyServiceParts,
): Promise<ProxyService> {
  checkAddresses(settings);
  checkOpenness(settings);
  const users = settings.noAuth ? [] : await configuredUsers(settings);
  const anyUsers = settings.userFile !== undefined || users.length > 0;
  const needsState = settings.certificate === undefined || !(settings.noAuth || anyUsers);
  const state = needsState ? await openStateDirectory(settings.stateDirectory) : undefined;

  const readOwn = (directory: StateDirectory): Promise<OwnCertificate> =>
    ownCertificate(directory, parts.makeSelfSigned, certificateNames(settings), parts.now());
  let own = settings.certificate === undefined && state ? await readOwn(state) : undefined;
  let tls: ProxyTls | undefined = own;
  if (settings.certificate !== undefined) tls = await readPair(settings.certificate);
  if (!tls) throw new BautaError('ERR_CERTIFICATE_FILE');
  const pin = pinOf(tls);

  const generated = !settings.noAuth && !anyUsers && state ? await generatedUser(state) : undefined;
  const book: PasswordStore | undefined = settings.noAuth
    ? undefined
    : createPasswordStore(generated ? [[generated.name, generated.password]] : users);

  const secret = await secretFrom(state, settings.stateDirectory);
  const proxy = await createProxy({
    listen: settings.listen,
    tls,
    authenticate: book ? book.authenticate : 'anyone',
    targets: settings.targets,
    publicAddress: settings.publicAddresses,
    drainTimeout: settings.drainTimeout,
    dataPath: settings.dataPath,
    congestion: settings.congestion,
    onEvent: parts.event,
    ...(secret === undefined ? {} : { secret }),
    ...(settings.shards === undefined ? {} : { shards: settings.shards }),
    ...(settings.via === undefined ? {} : { via: settings.via }),
    ...(settings.template === undefined ? {} : { template: settings.template }),
    ...(settings.tcpTemplate === undefined ? {} : { tcpTemplate: settings.tcpTemplate }),
    ...(settings.keyLogFile === undefined ? {} : { keyLogFile: settings.keyLogFile }),
  });

  // Only what listens changes what is kept.
  let owner: StateOwner | undefined;
  try {
    await own?.keep();
    await generated?.keep();
    owner = state ? await ownState(state) : undefined;
  } catch (error) {
    await proxy.close();
    throw error;
  }

  const reloadCertificate = async (): Promise<ReloadOutcome['certificate']> => {
    const before = tls;
    let next: ProxyTls;
    if (settings.certificate !== undefined) {
      next = await readPair(settings.certificate);
    } else if (state) {
      own = await readOwn(state);
      await own.keep();
      next = own;
    } else {
      return 'unchanged';
    }
    if (String(next.cert) === String(before?.cert) && String(next.key) === String(before?.key))
      return 'unchanged';
    proxy.setCertificates(next);
    tls = next;
    return 'replaced';
  };
  const reloadUsers = async (): Promise<ReloadOutcome['users']> => {
    if (!book || settings.userFile === undefined) return 'unchanged';
    book.replace(await configuredUsers(settings));
    proxy.setAuthenticate(book.authenticate);
    return book.size;
  };

  let { via } = settings;
  const reloadVia = async (): Promise<ReloadOutcome['via']> => {
    const next = await settings.readVia?.();
    if (next === undefined || isDeepStrictEqual(next, via)) return 'unchanged';
    proxy.setVia(next);
    via = next;
    return 'replaced';
  };

  return {
    proxy,
    pin,
    get own() {
      return own;
    },
    generated,
    state,
    certificate: String(tls.cert),
    otherOwner: owner?.other,
    async leaveState() {
      await owner?.leave();
    },
    async reload() {
      const [certificate, entries, hop] = await Promise.all([
        reloadCertificate().catch(asError),
        reloadUsers().catch(asError),
        reloadVia().catch(asError),
      ]);
      return { certificate, users: entries, via: hop };
    },
  };
}

/** Where nothing else needs the state directory, it need not be there for this either. */
async function secretFrom(state: StateDirectory | undefined, path: string): Promise<Uint8Array | undefined> {
  if (state) return keptSecret(state);
  try {
    return await keptSecret(await openStateDirectory(path));
  } catch {
    return undefined;
  }
}

function pinOf(tls: ProxyTls): string {
  try {
    return publicKeyPin(tls.cert);
  } catch (error) {
    throw new BautaError('ERR_CERTIFICATE_FILE', {
      detail: error instanceof Error ? error.message : String(error),
      cause: error,
    });
  }
}

import { type ForwardSpec, type LocalSpec, parseForward, parseLocal } from '../client/forward-spec.js';
import type { FrontEndKind } from '../client/front/open-front-end.js';
import { parseAddress } from '../protocol/address.js';
import { areBasicCredentials, type BasicCredentials } from '../protocol/basic-credentials.js';
import { BautaError } from '../protocol/bauta-error.js';
import { parseTarget } from '../protocol/target.js';
import type { DataPath } from '../tunnel/data-path.js';
import type { clientTable } from './client-options.js';
import type { OptionValues } from './option-table.js';
import { readDataPath } from './option-values.js';
import { usageError } from './parse-arguments.js';

type Options = OptionValues<typeof clientTable.options>;

/** One local port that was asked for. */
export type LocalEnd =
  | { readonly kind: FrontEndKind; readonly spec: LocalSpec }
  | { readonly kind: 'tcp' | 'udp'; readonly spec: ForwardSpec };

/** Everything that a command line wants to listen on. */
export interface LocalEnds {
  readonly ends: readonly LocalEnd[];
  readonly user: BasicCredentials | undefined;
  readonly associateAddress: string | undefined;
  readonly dataPath: DataPath;
}

/** Where apps look for a SOCKS proxy. */
const DEFAULT = 'localhost:1080';

function readUser(text: string | undefined, from: string): BasicCredentials | undefined {
  if (text === undefined || text === '') return undefined;
  const colon = text.indexOf(':');
  const user = { name: text.slice(0, Math.max(0, colon)), password: text.slice(colon + 1) };
  const usable = user.name !== '' && user.password !== '' && areBasicCredentials(user);
  if (colon < 1 || !usable || [user.name, user.password].some((part) => Buffer.byteLength(part) > 255)) {
    throw usageError(`${from} is not NAME:PASSWORD`, 'Each has 1 to 255 bytes, and the name no colon.');
  }
  return user;
}

function checkReach(ends: readonly LocalEnd[], user: BasicCredentials | undefined, open: boolean): void {
  for (const { kind, spec } of ends) {
    if (spec.loopback) continue;
    const forward = kind === 'tcp' || kind === 'udp';
    if (forward ? open : user) continue;
    throw new BautaError('ERR_OPEN_PROXY', {
      detail: `--${kind} ${spec.addresses.join(', ')}`,
      hint: forward
        ? `Listen on 127.0.0.1, or add --open-to-everyone: a ${kind.toUpperCase()} port has no password.`
        : 'Listen on 127.0.0.1, or set --local-user NAME:PASSWORD.',
    });
  }
}

/** Reads what is to be listened on; with nothing said, the mixed front-end. Throws `ERR_USAGE`, `ERR_OPEN_PROXY`. */
export function readLocalEnds(options: Options, environment: NodeJS.ProcessEnv): LocalEnds {
  const ends: LocalEnd[] = [];
  for (const kind of ['mixed', 'socks', 'http-proxy'] as const) {
    for (const text of options[kind]) ends.push({ kind, spec: parseLocal(text) });
  }
  for (const kind of ['tcp', 'udp'] as const) {
    for (const text of options[kind]) {
      const spec = parseForward(text);
      parseTarget(spec.target);
      ends.push({ kind, spec });
    }
  }
  if (ends.length === 0) ends.push({ kind: 'mixed', spec: parseLocal(DEFAULT) });
  const given = options['local-user'];
  const user =
    given === undefined
      ? readUser(environment['BAUTA_LOCAL_USER'], 'BAUTA_LOCAL_USER')
      : readUser(given, '--local-user');
  if (given !== undefined && ends.every(({ kind }) => kind === 'tcp' || kind === 'udp')) {
    throw usageError('--local-user is for --mixed, --socks and --http-proxy', 'bauta client --help');
  }
  checkReach(ends, user, options['open-to-everyone']);
  const associateAddress = options['associate-address'];
  if (associateAddress !== undefined && !parseAddress(associateAddress)) {
    throw usageError(`--associate-address ${associateAddress} is not an address`, 'bauta client --help');
  }
  return { ends, user, associateAddress, dataPath: readDataPath(options['data-path']) };
}

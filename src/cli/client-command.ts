import type { ClientCore } from '../client/client-core.js';
import { humanJournal, jsonJournal } from '../ops/journal.js';
import { onSignals } from '../ops/signals.js';
import type { BautaError } from '../protocol/bauta-error.js';
import { formatHostPort } from '../protocol/target.js';
import { checkCredentials } from './check-credentials.js';
import type { clientTable } from './client-options.js';
import type { RunCommand } from './command.js';
import { readLinks } from './connect-links.js';
import { readLocalEnds } from './local-ends.js';
import { type OpenEnd, openLocalEnds } from './open-local-ends.js';
import type { OptionValues } from './option-table.js';
import { tellClientEvents, tellStart } from './tell-client.js';

/** What runs when the command is stopped may end by itself for this long, milliseconds. */
const DRAIN = 500;
const HOLD = 60_000;

type Options = OptionValues<typeof clientTable.options>;

const proxyNames = {
  mixed: 'SOCKS5 and HTTP proxy',
  socks: 'SOCKS5 proxy',
  'http-proxy': 'HTTP proxy',
} as const;

function endText(
  { end, localAddress }: OpenEnd,
  version: string,
  failed: ReadonlyMap<string, BautaError>,
  user: boolean,
): string {
  const local = formatHostPort(localAddress.address, localAddress.port);
  if (end.kind !== 'tcp' && end.kind !== 'udp') {
    return `${local}: ${proxyNames[end.kind]}${user ? ' for the local user' : ''}, over ${version}`;
  }
  const { target } = end.spec;
  const error = end.kind === 'udp' ? failed.get(target) : undefined;
  const network = end.kind.toUpperCase();
  if (error) return `${local} (${network}) is there for ${target}, which has no tunnel yet: ${error.code}`;
  return `${local} (${network}) leads to ${target} over ${version}`;
}

function readyObject(ends: readonly OpenEnd[], version: string): Record<string, unknown> {
  return {
    event: 'ready',
    version,
    proxies: ends.flatMap(({ end, localAddress }) =>
      end.kind === 'tcp' || end.kind === 'udp' ? [] : [{ kind: end.kind, local: localAddress }],
    ),
    forwards: ends.flatMap(({ end, localAddress }) =>
      end.kind === 'tcp' || end.kind === 'udp'
        ? [{ network: end.kind, local: localAddress, target: end.spec.target }]
        : [],
    ),
    pid: process.pid,
  };
}

/** The options to type once more. The local user's password is not among them. */
function typedAgain(options: Options): string[] {
  return (['mixed', 'socks', 'http-proxy', 'tcp', 'udp'] as const).flatMap((name) =>
    options[name].map((value) => `--${name} ${value}`),
  );
}

/** Keeps the process running meanwhile, also while there is no connection to the proxy. */
async function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const hold = setInterval(() => undefined, HOLD);
  await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  clearInterval(hold);
}

export const runClient: RunCommand<typeof clientTable> = async ({ options, positionals }, context) => {
  const { terminal } = context;
  const given = readLocalEnds(options, context.environment);
  const links = await readLinks(options, positionals[0], context, {
    name: 'client',
    before: typedAgain(options),
    after: '',
  });
  const journal = options.json
    ? jsonJournal(terminal.out, () => new Date())
    : humanJournal(terminal.out, terminal.err);

  const stopped = new AbortController();
  const release = onSignals({ stop: () => stopped.abort(), stopNow: () => process.exit(1) });
  let client: ClientCore | undefined;
  try {
    client = await links.connect(stopped.signal);
    tellStart(client, journal, options.verbose);
    const told = tellClientEvents(client, journal, options.verbose);
    const targets = given.ends.flatMap((end) => (end.kind === 'udp' ? [end.spec.target] : []));
    const failed = await terminal.progress(
      'checking the credentials',
      checkCredentials(client, targets, journal),
    );
    const ends = await openLocalEnds(client, given, journal, options.verbose);
    const { version } = client.info();
    if (options.json) terminal.out(JSON.stringify(readyObject(ends, version)));
    else for (const end of ends) terminal.out(endText(end, version, failed, given.user !== undefined));
    await untilAborted(stopped.signal);
    await Promise.all(ends.map((end) => end.close(DRAIN)));
    await client.close();
    await told;
    return 0;
  } catch (error) {
    await client?.close();
    if (stopped.signal.aborted) return 0;
    throw links.explain(error);
  } finally {
    release();
  }
};

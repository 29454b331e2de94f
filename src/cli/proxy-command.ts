import { systemClock } from '../clock/system-clock.js';
import { anchorsIn } from '../http/tls/pem-text.js';
import { humanJournal, jsonJournal } from '../ops/journal.js';
import { tellProxyEvents } from '../ops/proxy-events.js';
import { type ProxyService, type ProxyServiceSettings, startProxyService } from '../ops/proxy-service.js';
import { onSignals } from '../ops/signals.js';
import { defaultStateDirectory } from '../ops/state-directory.js';
import { smallUdpBuffers } from '../ops/udp-buffers.js';
import { BautaError } from '../protocol/bauta-error.js';
import { failures } from '../protocol/failures.js';
import { formatHostPort } from '../protocol/target.js';
import { explainTarget } from '../proxy/explain-target.js';
import { parseUsers } from '../proxy/user-file.js';
import { congestionControl } from '../quic/congestion.js';
import { defaultShards, selfSigned } from '../quic/native/index.js';
import type { Hop } from '../upstream/hop.js';
import type { CommandContext, RunCommand } from './command.js';
import type { OptionValues } from './option-table.js';
import { readDataPath, readOptionFile, readSeconds, readShards } from './option-values.js';
import { usageError } from './parse-arguments.js';
import { announcement, keepLink, nextHopText, serviceLink } from './proxy-announcement.js';
import { proxyLink } from './proxy-link.js';
import type { proxyTable } from './proxy-options.js';

const HELP = 'bauta proxy --help';
const DRAIN_TIMEOUT = 10_000;
/** The own certificate's end is looked at this often, milliseconds. */
const RENEWAL_CHECK = 12 * 3_600_000;

type Options = OptionValues<typeof proxyTable.options>;

interface NextHop {
  readonly hop: Hop;
  /** Reads the file of its roots again. */
  readonly again: (() => Promise<Hop>) | undefined;
}

/** The next hop that was given, with its roots. */
async function nextHop(options: Options, context: CommandContext): Promise<NextHop | undefined> {
  const ca = options['via-ca'];
  if (options.via === undefined) {
    if (ca !== undefined) throw usageError('--via-ca is for --via', HELP);
    return undefined;
  }
  const url = await proxyLink(options.via, context);
  if (ca === undefined) return { hop: url, again: undefined };
  const read = async (): Promise<Hop> => {
    const roots = await readOptionFile('via-ca', ca, 'ERR_CERTIFICATE_FILE');
    if (anchorsIn(roots).size > 0) return { url, ca: roots };
    throw new BautaError('ERR_CERTIFICATE_FILE', { detail: `--via-ca ${ca}: no certificate` });
  };
  return { hop: await read(), again: read };
}

/** A bare port is one of this machine only, as the local ports of a client are. */
function listenText(text: string): string {
  return /^\d{1,5}$/.test(text) ? `localhost:${text}` : text;
}

/** Users of `--user`, and of standard input where `--user-file` is `-`; `NAME:PASSWORD` or `NAME:ARGON2-HASH` each. */
async function givenUsers(options: Options, context: CommandContext): Promise<readonly string[]> {
  if (options['user-file'] !== '-') return options.user;
  if (options.via === '-') throw usageError('--user-file and --via cannot both read standard input', HELP);
  const users = parseUsers(await context.readInput(), 'standard input');
  if (users.length === 0) throw usageError('standard input holds no NAME:PASSWORD');
  return [...users.map(([name, secret]) => `${name}:${secret}`), ...options.user];
}

function settingsOf(
  options: Options,
  users: readonly string[],
  environment: NodeJS.ProcessEnv,
  via: NextHop | undefined,
): ProxyServiceSettings {
  const { cert, key } = options;
  if ((cert === undefined) !== (key === undefined))
    throw usageError('--cert and --key belong together', HELP);
  return {
    listen: options.listen.length > 0 ? options.listen.map(listenText) : ['localhost:4433'],
    users,
    userLines: environment['BAUTA_USERS'],
    userFile: options['user-file'] === '-' ? undefined : options['user-file'],
    noAuth: options['no-auth'],
    openToEveryone: options['open-to-everyone'],
    certificate: cert !== undefined && key !== undefined ? { cert, key } : undefined,
    stateDirectory: options['state-dir'] ?? defaultStateDirectory(environment),
    targets: { allow: options['allow-target'], only: options['only-target'], deny: options['deny-target'] },
    template: options.template,
    tcpTemplate: options['tcp-template'],
    via: via?.hop,
    readVia: via?.again,
    publicAddresses: options['public-address'],
    drainTimeout: readSeconds('drain-timeout', options['drain-timeout'], DRAIN_TIMEOUT),
    keyLogFile: options['tls-key-log'],
    dataPath: readDataPath(options['data-path']),
    congestion: congestionControl(options.congestion, '--congestion'),
    shards: readShards(options.shards),
  };
}

/** Explains a decision; the exit code is that of a refused target where it is refused. */
async function check(target: string, options: Options, context: CommandContext): Promise<number> {
  const { terminal } = context;
  const via = await nextHop(options, context);
  const explanation = await terminal.progress(
    `looking at ${target}`,
    explainTarget(
      target,
      {
        targets: {
          allow: options['allow-target'],
          only: options['only-target'],
          deny: options['deny-target'],
        },
        publicAddress: options['public-address'],
        ...(via === undefined ? {} : { via: via.hop }),
      },
      new AbortController().signal,
    ),
  );
  if (options.json) {
    terminal.out(JSON.stringify({ event: 'checked', ...explanation }));
  } else {
    const { host, port } = explanation.target;
    const verdict = explanation.allowed ? 'allowed' : 'refused';
    const route = explanation.via === undefined ? '' : `, via ${explanation.via}`;
    terminal.out(`${formatHostPort(host, port)}: ${verdict}${route}`);
    if (explanation.reason !== undefined) terminal.out(`  ${explanation.reason}`);
    for (const { address, allowed, reason } of explanation.addresses) {
      terminal.out(`  ${address}: ${allowed ? 'allowed' : 'refused'}, ${reason}`);
    }
    const { tcp } = explanation;
    if (tcp.allowed !== explanation.allowed) {
      terminal.out(`  over TCP: ${tcp.allowed ? 'allowed' : 'refused'}, ${tcp.reason}`);
    }
    if (explanation.hint !== undefined) terminal.out(`  try: ${explanation.hint}`);
  }
  return explanation.allowed && explanation.tcp.allowed ? 0 : failures.ERR_TARGET_REFUSED.exit;
}

async function tellListening(
  service: ProxyService,
  settings: ProxyServiceSettings,
  shards: number,
  json: boolean,
  { terminal }: CommandContext,
): Promise<void> {
  const linkFile = await keepLink(service, settings);
  if (!json) {
    for (const line of announcement(service, settings, terminal.interactive, linkFile)) terminal.out(line);
    return;
  }
  const { own, generated, state } = service;
  terminal.out(
    JSON.stringify({
      event: 'listening',
      addresses: service.proxy.addresses,
      versions: ['h3', 'h2', 'h1'],
      serves: ['udp', 'tcp', 'http'],
      shards,
      link: serviceLink(service, settings, undefined),
      pin: service.pin,
      certificate: own ? { origin: own.origin, expires: own.expires.toISOString() } : { origin: 'given' },
      authentication: settings.noAuth ? 'none' : 'password',
      ...(generated ? { user: generated.name, passwordFile: generated.file, linkFile } : {}),
      ...(state ? { stateDirectory: state.path } : {}),
      targets: settings.targets,
      ...(settings.via === undefined ? {} : { via: nextHopText(settings.via) }),
      pid: process.pid,
    }),
  );
}

async function run(options: Options, context: CommandContext): Promise<number> {
  const { terminal } = context;
  const settings = settingsOf(
    options,
    await givenUsers(options, context),
    context.environment,
    await nextHop(options, context),
  );
  const journal = options.json
    ? jsonJournal(terminal.out, () => new Date())
    : humanJournal(terminal.out, terminal.err);

  const tell = tellProxyEvents(journal, options.verbose, systemClock);
  let failed: string | undefined;
  let shards = 1;
  const service = await terminal.progress(
    'starting',
    startProxyService(settings, {
      makeSelfSigned: selfSigned,
      now: Date.now,
      event(event) {
        if (event.event === 'failed') failed = event.reason;
        if (event.event === 'listening') shards = event.shards;
        tell(event);
      },
    }),
  );
  const { proxy } = service;
  const reload = async (): Promise<void> => {
    const outcome = await service.reload();
    for (const [what, result] of Object.entries(outcome)) {
      if (result instanceof BautaError) {
        journal.warn(
          { event: 'reload-failed', what, code: result.code },
          `${what} not reloaded: ${result.message}`,
        );
      } else if (result !== 'unchanged') {
        journal.tell({ event: 'reloaded', what }, `${what} reloaded`);
      }
    }
  };
  const renewal = setInterval(() => void reload(), RENEWAL_CHECK);
  const release = onSignals({
    stop() {
      const { open } = proxy.info().tunnels;
      journal.tell(
        { event: 'draining', tunnels: open, timeout: settings.drainTimeout },
        open === 0
          ? 'stopping'
          : `stopping: ${open} ${open === 1 ? 'tunnel' : 'tunnels'} may run for ${settings.drainTimeout / 1_000} s more; a second Ctrl-C (SIGINT or SIGTERM) ends ${open === 1 ? 'it' : 'them'} at once`,
      );
      void proxy.drain();
    },
    stopNow: () => void proxy.drain(0),
    reload: () => void reload(),
  });
  // Whoever reads that it listens may stop it at once: the signals are heard before it is told.
  try {
    await tellListening(service, settings, shards, options.json, context);
  } catch (error) {
    clearInterval(renewal);
    release();
    await proxy.close();
    await service.leaveState();
    throw error;
  }
  if (context.environment['SSLKEYLOGFILE'] !== undefined && settings.keyLogFile === undefined) {
    journal.warn(
      { event: 'key-log-ignored' },
      'SSLKEYLOGFILE is ignored; --tls-key-log FILE writes TLS secrets.',
    );
  }
  if (service.otherOwner !== undefined && service.state) {
    journal.warn(
      { event: 'state-shared', pid: service.otherOwner, stateDirectory: service.state.path },
      `Another proxy (process ${service.otherOwner}) uses ${service.state.path} too: the link kept there is now of this one. Give each its own with --state-dir DIR.`,
    );
  }
  const wanted = settings.shards ?? defaultShards();
  if (shards < wanted) {
    journal.warn(
      { event: 'shards', wanted, used: shards },
      `HTTP/3 connections are served by ${shards} thread instead of ${wanted}: this system cannot steer packets to several sockets.`,
    );
  }
  const buffers = await smallUdpBuffers();
  if (buffers) {
    journal.warn({ event: 'udp-buffers', code: buffers.code }, `${buffers.message} ${buffers.hint ?? ''}`);
  }
  await proxy.closed;
  clearInterval(renewal);
  release();
  await service.leaveState();
  journal.tell({ event: 'closed' }, 'stopped');
  if (failed !== undefined) throw new BautaError('ERR_INTERNAL', { detail: failed });
  return 0;
}

export const runProxy: RunCommand<typeof proxyTable> = async ({ options }, context) => {
  if (options.check !== undefined) return check(options.check, options, context);
  return run(options, context);
};

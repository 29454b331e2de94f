import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { constants } from 'node:os';
import type { ClientCore } from '../client/client-core.js';
import { openFrontEnd } from '../client/front/open-front-end.js';
import { systemClock } from '../clock/system-clock.js';
import { humanJournal } from '../ops/journal.js';
import { checkCredentials } from './check-credentials.js';
import type { CommandContext, RunCommand } from './command.js';
import { readLinks } from './connect-links.js';
import type { execTable } from './exec-options.js';
import { tellClientEvents, tellStart } from './tell-client.js';
import { frontTeller } from './tell-fronts.js';

/** Exit codes of shells for a command that is not there, and for one that cannot be run. */
const NOT_FOUND = 127;
const NOT_RUNNABLE = 126;

/**
 * The variables by which programs find their proxy. Names are resolved by the proxy (`socks5h`), and nothing is
 * left out: an exception in `no_proxy` would go around it.
 */
export function proxyVariables(
  port: number,
  user: { readonly name: string; readonly password: string },
): Record<string, string | undefined> {
  const authority = `${user.name}:${user.password}@127.0.0.1:${port}`;
  const http = `http://${authority}`;
  const socks = `socks5h://${authority}`;
  return {
    http_proxy: http,
    HTTP_PROXY: http,
    https_proxy: http,
    HTTPS_PROXY: http,
    all_proxy: socks,
    ALL_PROXY: socks,
    no_proxy: undefined,
    NO_PROXY: undefined,
    // Node heeds the variables from release 24 on, when this is set.
    NODE_USE_ENV_PROXY: '1',
    // The link may hold the proxy's password, and the command has no use for it.
    BAUTA_PROXY: undefined,
  };
}

/** Runs a command with this standard input, output and error; resolves with its exit code as a shell gives it. */
async function runCommand(
  [file = '', ...args]: readonly string[],
  environment: NodeJS.ProcessEnv,
  context: CommandContext,
): Promise<number> {
  const child = spawn(file, args, { stdio: 'inherit', env: environment });
  const handlers = (['SIGTERM', 'SIGHUP', 'SIGINT', 'SIGQUIT'] as const).map((signal) => {
    const pass = (): void => {
      // A terminal has sent what was typed there to the command as well.
      const typed = signal === 'SIGINT' || signal === 'SIGQUIT';
      if (!typed || process.stdin.isTTY !== true) child.kill(signal);
    };
    process.on(signal, pass);
    return () => process.off(signal, pass);
  });
  try {
    return await new Promise<number>((resolve) => {
      child.once('error', (error) => {
        const missing = 'code' in error && error.code === 'ENOENT';
        context.terminal.err(`bauta: ${file}: ${missing ? 'there is no such command' : error.message}`);
        resolve(missing ? NOT_FOUND : NOT_RUNNABLE);
      });
      child.once('exit', (code, signal) => {
        resolve(code ?? 128 + (signal ? constants.signals[signal] : 0));
      });
    });
  } finally {
    for (const release of handlers) release();
  }
}

export const runExec: RunCommand<typeof execTable> = async ({ options, positionals, command }, context) => {
  const { terminal, environment } = context;
  const after = ` -- ${command.join(' ')}`;
  const links = await readLinks(options, positionals[0], context, { name: 'exec', before: [], after });
  // Standard output is the command's.
  const journal = humanJournal(terminal.err, terminal.err);
  let client: ClientCore | undefined;
  const stopped = new AbortController();
  const stop = (): void => stopped.abort();
  process.on('SIGINT', stop);
  process.on('SIGTERM', stop);
  try {
    client = await links.connect(stopped.signal);
    if (options.verbose) tellStart(client, journal, true);
    void tellClientEvents(client, journal, options.verbose);
    await terminal.progress('checking the credentials', checkCredentials(client, [], journal));
    const user = { name: 'exec', password: randomBytes(18).toString('base64url') };
    const front = await openFrontEnd({
      kind: 'mixed',
      local: { address: '127.0.0.1', port: 0 },
      // Other users of this machine can connect to it too.
      user,
      ground: client,
      clock: systemClock,
      event: frontTeller(journal, options.verbose),
    });
    const { port } = front.localAddress;
    const exit = await runCommand(command, { ...environment, ...proxyVariables(port, user) }, context);
    await front.close();
    await client.close();
    return exit;
  } catch (error) {
    await client?.close();
    throw links.explain(error);
  } finally {
    process.off('SIGINT', stop);
    process.off('SIGTERM', stop);
  }
};

import type { ClientCore } from '../client/client-core.js';
import { connectCore } from '../client/connect.js';
import type { Hop } from '../client/hop.js';
import { parseAccessLink, redactAccessLink } from '../protocol/access-link.js';
import { BautaError } from '../protocol/bauta-error.js';
import { congestionControl } from '../quic/congestion.js';
import { withAcceptingCommand } from './accept-hint.js';
import type { CommandContext } from './command.js';
import { readOptionFile, readSeconds, readVersions } from './option-values.js';
import { usageError } from './parse-arguments.js';
import { proxyLink } from './proxy-link.js';

const TIMEOUT = 10_000;

/** The options by which a command says which proxy it uses, and how. */
export interface LinkOptions {
  readonly proxy: readonly string[];
  readonly versions: string | undefined;
  readonly ca: string | undefined;
  readonly timeout: string | undefined;
  readonly congestion: string | undefined;
}

/** The proxies that a command uses. */
export interface Links {
  connect(signal: AbortSignal): Promise<ClientCore>;
  /** Adds the command that would accept an unknown certificate, where it is that of the last proxy. */
  explain(error: unknown): unknown;
}

/** In a chain the roots are for those proxies that are not pinned. */
function hopOf(link: string, ca: string | undefined, chain: boolean): Hop {
  const pinned = chain && parseAccessLink(link).pins.length > 0;
  return ca === undefined || pinned ? link : { url: link, ca };
}

/**
 * Reads the links of a command line. `command` is the command to type once more, without `bauta` and the link;
 * `rest` is what follows the link. Throws `ERR_USAGE`, `ERR_LINK` or `ERR_CERTIFICATE_FILE`.
 */
export async function readLinks(
  options: LinkOptions,
  argument: string | undefined,
  context: CommandContext,
  command: { readonly name: string; readonly before: readonly string[]; readonly after: string },
): Promise<Links> {
  const versions = readVersions(options.versions);
  const timeout = readSeconds('timeout', options.timeout, TIMEOUT);
  const congestion = congestionControl(options.congestion, '--congestion');
  const ca =
    options.ca === undefined ? undefined : await readOptionFile('ca', options.ca, 'ERR_CERTIFICATE_FILE');
  if (options.proxy.length > 0 && argument !== undefined) {
    throw usageError('give LINK, or --proxy for each proxy of a chain', `bauta ${command.name} --help`);
  }
  const links = options.proxy.length > 0 ? options.proxy : [await proxyLink(argument, context)];
  const last = links.at(-1) ?? '';
  const start = [command.name, ...command.before].join(' ');
  return {
    connect: (signal) =>
      context.terminal.progress(
        'connecting to the proxy',
        connectCore(
          links.map((link) => hopOf(link, ca, links.length > 1)),
          { versions, timeout, congestion, signal },
        ),
      ),
    explain(error) {
      if (links.length === 1) return withAcceptingCommand(error, last, start, command.after);
      if (!(error instanceof BautaError) || error.hop !== links.length - 1) return error;
      const before = links.slice(0, -1).map((link) => `--proxy '${redactAccessLink(parseAccessLink(link))}'`);
      return withAcceptingCommand(error, last, [start, ...before, '--proxy'].join(' '), command.after);
    },
  };
}

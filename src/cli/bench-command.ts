import { connectCore } from '../client/connect.js';
import { accessOf, type Hop } from '../client/hop.js';
import { createProxyDialer } from '../client/proxy-dialer.js';
import { resolveHost } from '../client/resolve-host.js';
import { systemClock } from '../clock/system-clock.js';
import { onSignals } from '../ops/signals.js';
import { BautaError } from '../protocol/bauta-error.js';
import { failures } from '../protocol/failures.js';
import type { HttpVersion } from '../protocol/reset-reason.js';
import { formatTarget } from '../protocol/target.js';
import { congestionControl } from '../quic/congestion.js';
import type { QuicEngine } from '../quic/engine.js';
import { createNativeEngine } from '../quic/native/index.js';
import { withAcceptingCommand } from './accept-hint.js';
import { type BenchPlan, measureVersion } from './bench-measure.js';
import type { benchTable } from './bench-options.js';
import { type BenchResult, type Part, resultLines, resultObject } from './bench-report.js';
import { serveBench } from './bench-serve.js';
import { type BenchTarget, givenTarget, startOwnTarget } from './bench-target.js';
import type { CommandContext, RunCommand } from './command.js';
import type { OptionValues } from './option-table.js';
import { readOptionFile, readSeconds, readVersions } from './option-values.js';
import { usageError } from './parse-arguments.js';
import { proxyLink } from './proxy-link.js';
import { tableError } from './report-error.js';

const HELP = 'bauta bench --help';
const DURATION = 3_000;
const TIMEOUT = 10_000;
const PARTS: readonly Part[] = ['setup', 'udp', 'tcp'];

type Options = OptionValues<typeof benchTable.options>;

function readNumber(
  option: string,
  text: string | undefined,
  byDefault: number,
  least: number,
  most: number,
): number {
  if (text === undefined) return byDefault;
  const value = Number(text);
  if (!/^\d+$/.test(text) || value < least || value > most) {
    throw usageError(`--${option} ${text} is not a number from ${least} to ${most}`, HELP);
  }
  return value;
}

function readParts(texts: readonly string[]): readonly Part[] {
  for (const text of texts) {
    if (!PARTS.some((part) => part === text)) {
      throw usageError(`--only ${text} is none of ${PARTS.join(', ')}`, HELP);
    }
  }
  return texts.length === 0 ? PARTS : PARTS.filter((part) => texts.includes(part));
}

/** What the options say, before anything is dialled. */
function readPlan(options: Options) {
  const duration = readSeconds('duration', options.duration, DURATION);
  if (duration < 500 || duration > 60_000) throw usageError('--duration is 0.5 to 60 seconds', HELP);
  return {
    parts: readParts(options.only),
    duration,
    rate: readNumber('rate', options.rate, 500, 1, 100_000),
    size: readNumber('size', options.size, 1_200, 64, 65_000),
    streams: readNumber('streams', options.streams, 8, 1, 64),
    timeout: readSeconds('timeout', options.timeout, TIMEOUT),
    congestion: congestionControl(options.congestion, '--congestion'),
    /** Undefined: the one that a client would take. */
    versions: options.versions === undefined ? undefined : readVersions(options.versions),
  };
}

async function bench(
  hop: Hop,
  options: Options,
  { terminal }: CommandContext,
  signal: AbortSignal,
): Promise<number> {
  const { versions, congestion, ...wishes } = readPlan(options);
  const say = (event: Record<string, unknown>, lines: readonly string[]): void => {
    if (options.json) terminal.out(JSON.stringify(event));
    else for (const line of lines) terminal.out(line);
  };
  let engine: QuicEngine | undefined;
  let far: BenchTarget | undefined;
  let first: BautaError | undefined;
  const access = accessOf(hop);
  const dial = createProxyDialer({
    access,
    engine() {
      engine ??= createNativeEngine({ congestion });
      return engine;
    },
    clock: systemClock,
    resolve: resolveHost,
    handshakeTimeout: wishes.timeout,
  });
  const tell = (result: BenchResult): void => say(resultObject(result), resultLines(result));
  const measure = async (tried: readonly HttpVersion[]): Promise<void> => {
    await using core = await terminal.progress(
      'connecting',
      connectCore(hop, { versions: tried, timeout: wishes.timeout, congestion, signal }),
    );
    const { version, remoteAddress } = core.info();
    if (!far) {
      far = options.to === undefined ? await startOwnTarget(remoteAddress) : givenTarget(options.to);
      const name = formatTarget(far.target);
      const kind = far.own === undefined ? '' : ' (started on this machine)';
      say({ event: 'target', target: name, own: far.own !== undefined }, [`far end   ${name}${kind}`]);
    }
    const plan: BenchPlan = { ...wishes, access, dial, far, signal, tell, progress: terminal.progress };
    const error = await measureVersion(version, core, plan);
    first ??= error;
  };
  try {
    if (!versions) await measure(['h3', 'h2', 'h1']);
    else {
      for (const version of versions) {
        try {
          await measure([version]);
        } catch (thrown) {
          // One version alone has nothing else to show.
          if (signal.aborted || versions.length === 1 || !(thrown instanceof BautaError)) throw thrown;
          first ??= thrown;
          tell({ event: 'failed', version, part: 'connection', error: tableError(thrown) });
        }
      }
    }
    const exit = first ? failures[first.code].exit : 0;
    say({ event: 'summary', exit }, []);
    return exit;
  } finally {
    await far?.[Symbol.asyncDispose]();
    await engine?.close();
  }
}

export const runBench: RunCommand<typeof benchTable> = async ({ options, positionals }, context) => {
  if (options.serve !== undefined) {
    if (positionals.length > 0 || options.to !== undefined) {
      throw usageError('--serve is the far end: it takes neither LINK nor --to', HELP);
    }
    return serveBench(options.serve, options.json, context.terminal);
  }
  const ca =
    options.ca === undefined ? undefined : await readOptionFile('ca', options.ca, 'ERR_CERTIFICATE_FILE');
  const link = await proxyLink(positionals[0], context);
  const stopped = new AbortController();
  const release = onSignals({ stop: () => stopped.abort(), stopNow: () => process.exit(130) });
  try {
    return await bench(ca === undefined ? link : { url: link, ca }, options, context, stopped.signal);
  } catch (error) {
    if (stopped.signal.aborted) return 130;
    throw withAcceptingCommand(error, link, 'bench');
  } finally {
    release();
  }
};

import { isIP } from 'node:net';
import { openResponder } from '../client/bench/responder.js';
import { systemClock } from '../clock/system-clock.js';
import { onSignals } from '../ops/signals.js';
import { formatHostPort } from '../protocol/target.js';
import { createNativeEngine } from '../quic/native/index.js';
import { usageError } from './parse-arguments.js';
import type { Terminal } from './terminal.js';

/** Reads `[HOST:]PORT`; no HOST stands for all addresses. Throws `ERR_USAGE`. */
export function readServeAddress(text: string): {
  readonly addresses: readonly string[];
  readonly port: number;
} {
  const match = /^(?:(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):)?(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2];
  const port = Number(match?.[3]);
  if (!match || port > 65_535 || (host !== undefined && host !== 'localhost' && isIP(host) === 0)) {
    throw usageError(
      `--serve ${text} is not [HOST:]PORT`,
      'For example --serve 4500, or --serve 192.0.2.7:4500',
    );
  }
  if (host === undefined) return { addresses: ['0.0.0.0', '::'], port };
  return { addresses: host === 'localhost' ? ['127.0.0.1', '::1'] : [host], port };
}

/** Answers speed tests until the process is told to stop, or who started it has gone. */
export async function serveBench(text: string, json: boolean, terminal: Terminal): Promise<number> {
  const { addresses, port } = readServeAddress(text);
  const engine = createNativeEngine();
  try {
    await using responder = await openResponder({ sockets: engine.udp, addresses, port, clock: systemClock });
    const stopped = new Promise<void>((resolve) => {
      onSignals({ stop: resolve, stopNow: () => process.exit(130) });
      process.once('disconnect', resolve);
    });
    const where = responder.addresses;
    if (json) terminal.out(JSON.stringify({ event: 'serving', addresses: where }));
    else {
      const said = where.map(({ address, port }) => formatHostPort(address, port)).join(', ');
      terminal.out(`answering speed tests on ${said} (UDP and TCP)`);
      terminal.out(`next: bauta bench LINK --to HOST:${where[0]?.port}`);
    }
    await stopped;
    return 0;
  } finally {
    await engine.close();
  }
}

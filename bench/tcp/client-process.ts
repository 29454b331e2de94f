/*
 * bauta's client with a TCP forward, the process under test. Its argument says as JSON which proxy, which version of
 * HTTP, which data path, and where the forward leads; it tells the port of the forward.
 */
import { connectCore } from '../../src/client/connect.js';
import { openTcpForward } from '../../src/client/front/tcp-forward.js';
import { systemClock } from '../../src/clock/system-clock.js';
import type { ForwardSettings } from './subjects.js';

const { link, version, dataPath, target } = JSON.parse(process.argv[2] ?? '') as ForwardSettings;
const client = await connectCore(link, { versions: [version] });
const forward = await openTcpForward({
  local: { address: '127.0.0.1', port: 0 },
  target,
  ground: client,
  clock: systemClock,
  dataPath,
  event: () => undefined,
});
process.stdout.write(`${JSON.stringify({ port: forward.localAddress.port })}\n`);
process.stdin.once('end', () => process.exit());
process.stdin.resume();

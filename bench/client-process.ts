/*
 * bauta's client with a forward, the process under test. Its argument says as JSON which proxy, which version of HTTP,
 * which data path, and where the forward leads; it tells the port of the forward.
 */
import { connectCore } from '../src/client/connect.js';
import { openTcpForward } from '../src/client/front/tcp-forward.js';
import { openUdpForward } from '../src/client/udp-forward.js';
import { systemClock } from '../src/clock/system-clock.js';
import type { ForwardSettings } from './subjects.js';

const given = JSON.parse(process.argv[2] ?? '') as ForwardSettings & { link: string; target: string };
const { link, network, version, dataPath, target } = given;
const client = await connectCore(link, { versions: [version] });
const common = {
  local: { address: '127.0.0.1', port: 0 },
  clock: systemClock,
  dataPath,
  event: () => undefined,
};
const forward =
  network === 'tcp'
    ? await openTcpForward({ ...common, target, ground: client })
    : await openUdpForward({
        ...common,
        sockets: client.sockets(),
        open: (handler, signal) => client.openRawUdp(target, handler, { signal }),
      });
process.stdout.write(`${JSON.stringify({ port: forward.localAddress.port })}\n`);
process.stdin.once('end', () => process.exit());
process.stdin.resume();

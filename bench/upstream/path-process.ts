/*
 * A path with a delay, in a process of its own. Arguments: milliseconds one way, then port after port of this
 * machine; for each it opens a UDP and a TCP way. Ends with its parent; tells its CPU time when asked.
 */
import { delayTcp, delayUdp } from './delaying-path.js';

/** What it tells: its ports in the order of the arguments, then seconds of CPU for each question. */
export type PathReport =
  | { readonly kind: 'up'; readonly ways: readonly { readonly udp: number; readonly tcp: number }[] }
  | { readonly kind: 'cpu'; readonly seconds: number };

const [delay, ...ports] = process.argv.slice(2).map(Number);
const tell = (report: PathReport): void => void process.send?.(report);
process.once('disconnect', () => process.exit());
process.on('message', () => {
  const { user, system } = process.cpuUsage();
  tell({ kind: 'cpu', seconds: (user + system) / 1e6 });
});
const ways = [];
for (const port of ports) {
  ways.push({ udp: await delayUdp(port, delay ?? 0), tcp: await delayTcp(port, delay ?? 0) });
}
tell({ kind: 'up', ways });

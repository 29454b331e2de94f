/*
 * Fetches bytes from the TCP source of far-process.ts: HOST PORT BYTES SECONDS. Tells as one line of JSON how many came,
 * in which time from the first one on, and whether they were the right ones. After SECONDS what came so far counts.
 */
import { createHash } from 'node:crypto';
import { connect } from 'node:net';
import { patternHash } from './byte-pattern.js';

const [host = '', port = '', count = '', seconds = ''] = process.argv.slice(2);
const hash = createHash('sha256');
let bytes = 0;
let first = 0;
let last = 0;
const begin = performance.now();
const socket = connect(Number(port), host, () => socket.write(`${count}`));
const finish = (problem?: string): void => {
  clearTimeout(limit);
  socket.destroy();
  const sum = hash.digest('hex');
  const took = (last - first) / 1e3;
  const intact = sum === patternHash(bytes);
  console.log(
    JSON.stringify({
      bytes,
      seconds: took,
      opening: (first - begin) / 1e3,
      intact,
      sum,
      ...(problem && { problem }),
    }),
  );
  process.exit();
};
const limit = setTimeout(finish, Number(seconds) * 1e3);
socket.on('data', (chunk: Buffer) => {
  last = performance.now();
  if (bytes === 0) first = last;
  bytes += chunk.length;
  hash.update(chunk);
});
socket.once('end', () => finish());
socket.once('error', (error) => finish(error.message));

/* A plain TCP forwarder on Node's own sockets: the floor. Its argument is where to; it tells its port. */
import { connect, createServer } from 'node:net';
import { pipeline } from 'node:stream';

const [host = '', port = ''] = (process.argv[2] ?? '').split(':');
const server = createServer({ allowHalfOpen: true, noDelay: true }, (near) => {
  const far = connect({ host, port: Number(port), allowHalfOpen: true, noDelay: true });
  pipeline(near, far, near, () => undefined);
});
server.listen(0, '127.0.0.1', () => {
  const bound = server.address();
  if (bound && typeof bound === 'object') process.stdout.write(`${JSON.stringify({ port: bound.port })}\n`);
});
process.stdin.once('end', () => process.exit());
process.stdin.resume();

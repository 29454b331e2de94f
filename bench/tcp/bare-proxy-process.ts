/*
 * The least CONNECT proxy that Node's own modules make: HTTP/2 and HTTP/1.1, streams piped, nothing checked. What
 * bauta costs above it is bauta's. Its argument is the folder with certificate and key; it tells its port.
 */
import { readFileSync } from 'node:fs';
import { createSecureServer } from 'node:http2';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Duplex } from 'node:stream';

const folder = process.argv[2] ?? '';
const server = createSecureServer({
  cert: readFileSync(join(folder, 'cert.pem')),
  key: readFileSync(join(folder, 'key.pem')),
  allowHTTP1: true,
  settings: { initialWindowSize: 1 << 20 },
});
const splice = (near: Duplex, authority: string, opened: () => void): void => {
  const [host = '', port = ''] = authority.split(':');
  const far = connect({ host, port: Number(port), allowHalfOpen: true, noDelay: true }, opened);
  for (const side of [near, far]) side.on('error', () => [near, far].map((each) => each.destroy()));
  near.pipe(far).pipe(near);
};
server.on('session', (session) => session.setLocalWindowSize(64 << 20));
server.on('stream', (stream, headers) => {
  splice(stream, String(headers[':authority']), () => stream.respond({ ':status': 200 }));
});
server.on('connect', (request, socket) => {
  if (request.httpVersionMajor === 1) {
    splice(socket, request.url ?? '', () => void socket.write('HTTP/1.1 200 OK\r\n\r\n'));
  }
});
server.listen(0, '127.0.0.1', () => {
  const bound = server.address();
  if (bound && typeof bound === 'object') process.stdout.write(`${JSON.stringify({ port: bound.port })}\n`);
});
process.stdin.once('end', () => process.exit());
process.stdin.resume();

import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';

/** The same bytes for the same seed, in pieces of 64 KiB. */
export function* patterned(seed: number, bytes: number): Generator<Buffer> {
  let state = seed + 1;
  for (let left = bytes; left > 0; left -= 65_536) {
    const words = new Uint32Array(16_384);
    for (let at = 0; at < words.length; at++) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) | 0;
      words[at] = state;
    }
    yield Buffer.from(words.buffer, 0, Math.min(left, 65_536));
  }
}

export function sha256Of(pieces: Iterable<Buffer>): string {
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  return hash.digest('hex');
}

export const patternedStream = (seed: number, bytes: number): Readable =>
  Readable.from(patterned(seed, bytes), { objectMode: false });

export interface HttpsOrigin {
  readonly server: Server;
  readonly port: number;
  close(): void;
}

/**
 * Answers `GET /bytes/SEED/COUNT` with that pattern, an upload with the SHA-256 of what came, and anything else
 * with `hello`.
 */
export async function startHttpsOrigin(
  tls: { readonly cert: string; readonly key: string },
  address = '127.0.0.1',
): Promise<HttpsOrigin> {
  const server = createServer(tls, (request, response) => {
    const [, kind, seed, count] = (request.url ?? '').split('/');
    if (kind === 'bytes') {
      response.writeHead(200, { 'content-length': Number(count) });
      patternedStream(Number(seed), Number(count)).pipe(response);
      return;
    }
    const hash = createHash('sha256');
    request.on('data', (chunk: Buffer) => hash.update(chunk));
    request.on('end', () => response.end(request.method === 'PUT' ? hash.digest('hex') : 'hello'));
  });
  await new Promise<void>((resolve) => server.listen(0, address, resolve));
  return {
    server,
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      server.closeAllConnections();
    },
  };
}

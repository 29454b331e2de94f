import type { HttpClientConnection } from '../../src/http/connection.js';
import type { ResponseHead } from '../../src/http/request.js';
import type { StreamOutcome } from '../../src/http/tunnel-stream.js';
import { createCapsuleParser } from '../../src/protocol/capsule.js';
import type { Fields } from '../../src/protocol/fields.js';

/** An extended CONNECT whose bytes a test writes by hand. */
export interface RawTunnel {
  readonly response: Promise<ResponseHead>;
  readonly closed: Promise<StreamOutcome>;
  write(bytes: Uint8Array): void;
  end(): void;
  /** The first UDP payload, as datagram or capsule. */
  payload(): Promise<Buffer>;
}

export async function rawTunnel(
  connection: HttpClientConnection,
  head: { protocol?: string; path?: string; fields?: Fields },
): Promise<RawTunnel> {
  let responded: (head: ResponseHead) => void = () => undefined;
  let arrived: (payload: Buffer) => void = () => undefined;
  const response = new Promise<ResponseHead>((resolve) => {
    responded = resolve;
  });
  const payload = new Promise<Buffer>((resolve) => {
    arrived = resolve;
  });
  const datagram = (bytes: Uint8Array, start: number, end: number): void =>
    arrived(Buffer.from(Uint8Array.prototype.slice.call(bytes, start + 1, end)));
  const parser = createCapsuleParser({}, { datagram });
  const stream = connection.open(
    {
      kind: 'extended',
      protocol: head.protocol ?? 'connect-udp',
      scheme: 'https',
      authority: 'localhost',
      path: head.path ?? '/.well-known/masque/udp/127.0.0.1/9/',
      fields: head.fields ?? [],
    },
    {
      response: responded,
      data: (bytes, start, end) => parser.push(bytes, start, end),
      end: () => undefined,
      datagram,
      drain: () => undefined,
      closed: () => undefined,
    },
  );
  stream.grant(1 << 20);
  return {
    response,
    closed: stream.closed,
    write: (bytes) => void stream.write(bytes, 0, bytes.length),
    end: () => stream.end(),
    payload: () => payload,
  };
}

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
  grant(bytes: number): void;
  /** HTTP datagram payloads that came as capsules, and as QUIC datagrams, with their context. */
  readonly capsules: readonly Buffer[];
  readonly datagrams: readonly Buffer[];
  /** The first UDP payload, as datagram or capsule. */
  payload(): Promise<Buffer>;
}

export async function rawTunnel(
  connection: HttpClientConnection,
  head: { protocol?: string; path?: string; fields?: Fields; credit?: number },
): Promise<RawTunnel> {
  let responded: (head: ResponseHead) => void = () => undefined;
  let arrived: (payload: Buffer) => void = () => undefined;
  const response = new Promise<ResponseHead>((resolve) => {
    responded = resolve;
  });
  const payload = new Promise<Buffer>((resolve) => {
    arrived = resolve;
  });
  const [capsules, datagrams]: [Buffer[], Buffer[]] = [[], []];
  const into = (list: Buffer[]) => (bytes: Uint8Array, start: number, end: number) => {
    const datagram = Buffer.from(Uint8Array.prototype.slice.call(bytes, start, end));
    list.push(datagram);
    arrived(datagram.subarray(1));
  };
  const parser = createCapsuleParser({}, { datagram: into(capsules) });
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
      datagram: into(datagrams),
      drain: () => undefined,
      closed: () => undefined,
    },
  );
  stream.grant(head.credit ?? 1 << 20);
  return {
    response,
    closed: stream.closed,
    write: (bytes) => void stream.write(bytes, 0, bytes.length),
    end: () => stream.end(),
    grant: (bytes) => stream.grant(bytes),
    capsules,
    datagrams,
    payload: () => payload,
  };
}

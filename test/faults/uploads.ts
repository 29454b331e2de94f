import type { HttpClientConnection } from '../../src/http/connection.js';
import type { RequestHead } from '../../src/http/request.js';
import type { StreamOutcome, TunnelStream } from '../../src/http/tunnel-stream.js';

/** An upload that no proxy serves. */
export const plainPost = {
  kind: 'plain',
  method: 'POST',
  scheme: 'https',
  authority: 'localhost',
  path: '/',
  fields: [],
} as const satisfies RequestHead;

export interface Upload {
  readonly stream: TunnelStream;
  /** Bytes that the stream took. */
  readonly written: number;
  readonly status: number | undefined;
  readonly outcome: StreamOutcome | undefined;
}

const chunk = new Uint8Array(16 * 1024);

/** A request with content up to `most` bytes, sent as fast as the other side takes it. */
export function startUpload(connection: HttpClientConnection, head: RequestHead, most: number): Upload {
  const state: { written: number; status: number | undefined; outcome: StreamOutcome | undefined } = {
    written: 0,
    status: undefined,
    outcome: undefined,
  };
  const pump = (): void => {
    while (state.written < most && !state.outcome) {
      state.written += chunk.length;
      if (!stream.write(chunk, 0, chunk.length)) return;
    }
  };
  const stream = connection.open(head, {
    response: ({ status }) => {
      state.status = status;
    },
    data: () => undefined,
    end: () => undefined,
    datagram: () => undefined,
    drain: () => pump(),
    closed: (outcome) => {
      state.outcome = outcome;
    },
  });
  stream.grant(1 << 20);
  pump();
  return Object.defineProperties({ stream } as Upload, {
    written: { get: () => state.written },
    status: { get: () => state.status },
    outcome: { get: () => state.outcome },
  });
}

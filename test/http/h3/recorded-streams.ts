import type { RequestHead, ResponseHead } from '../../../src/http/request.js';
import type {
  ClientStreamHandler,
  ServerStream,
  StreamOutcome,
  TunnelStreamHandler,
} from '../../../src/http/tunnel-stream.js';

/** Everything that one end of a tunnel stream was told, in order. */
export interface Recorded {
  /** `data`, `end`, `datagram`, `response 200`, ... */
  readonly log: string[];
  readonly datagrams: string[];
  readonly responses: ResponseHead[];
  text: string;
  outcome: StreamOutcome | undefined;
}

export function recorder(): Recorded {
  return { log: [], datagrams: [], responses: [], text: '', outcome: undefined };
}

export function recordingHandler(recorded: Recorded): TunnelStreamHandler {
  return {
    data(bytes, start, end) {
      recorded.log.push('data');
      recorded.text += Buffer.from(bytes.subarray(start, end)).toString('latin1');
    },
    end: () => recorded.log.push('end'),
    datagram(bytes, start, end) {
      recorded.log.push('datagram');
      recorded.datagrams.push(Buffer.from(bytes.subarray(start, end)).toString('latin1'));
    },
    drain: () => recorded.log.push('drain'),
    peerStopped: (reason) => recorded.log.push(`peerStopped ${reason}`),
    maxDatagramSize: (size) => recorded.log.push(`maxDatagramSize ${size}`),
    closed(outcome) {
      recorded.log.push(`closed ${outcome.kind}`);
      recorded.outcome = outcome;
    },
  };
}

export function recordingClientHandler(recorded: Recorded): ClientStreamHandler {
  return {
    ...recordingHandler(recorded),
    informational: (head) => recorded.log.push(`informational ${head.status}`),
    response(head) {
      recorded.log.push(`response ${head.status}`);
      recorded.responses.push(head);
    },
  };
}

/** A request that the server got, with what its stream told. */
export interface Served extends Recorded {
  readonly stream: ServerStream;
}

export const extended: RequestHead = {
  kind: 'extended',
  protocol: 'connect-udp',
  scheme: 'https',
  authority: 'proxy.test',
  path: '/.well-known/masque/udp/192.0.2.9/53/',
  fields: [],
};
export const classic: RequestHead = { kind: 'connect', authority: 'target.test:443', fields: [] };
export const plain: RequestHead = {
  kind: 'plain',
  method: 'GET',
  scheme: 'https',
  authority: 'proxy.test',
  path: '/',
  fields: [],
};

export const bytes = (text: string): Buffer => Buffer.from(text, 'latin1');

import type { ResponseHead } from '../../src/http/request.js';
import type { StreamOutcome, TunnelStream } from '../../src/http/tunnel-stream.js';
import { codeOf, type HttpVersion, type ResetReason } from '../../src/protocol/reset-reason.js';
import type { StreamContent } from '../../src/upstream/transport.js';
import type { PeerStream } from './transport-peer.js';

/** What a fake stream needs of its connection. */
export interface FakeStreamOwner {
  readonly version: HttpVersion;
  readonly datagrams: boolean;
  informational(head: ResponseHead): void;
  response(head: ResponseHead): void;
  datagram(bytes: Uint8Array): void;
  /** The outcome; told to the owner of the connection by the fake connection. */
  closed(outcome: StreamOutcome): void;
}

export interface FakeStream {
  readonly tunnel: TunnelStream;
  readonly peer: PeerStream;
  content: StreamContent | undefined;
  readonly outcome: StreamOutcome | undefined;
  open(id: number): void;
  finish(outcome: StreamOutcome): void;
}

/** Both ends of one stream, in memory: what one side does the other has at once. */
export function createFakeStream(request: PeerStream['request'], owner: FakeStreamOwner): FakeStream {
  let id = -1;
  let credit = 0;
  let outcome: StreamOutcome | undefined;
  let localEnd = false;
  let peerEnd = false;
  let peerEndTold = false;
  let buffered = 0;
  const queue: Uint8Array[] = [];
  const seen = { bytes: [] as Uint8Array[], datagrams: [] as Uint8Array[], ended: false };
  let resolveClosed: (outcome: StreamOutcome) => void = () => undefined;
  const closed = new Promise<StreamOutcome>((resolve) => {
    resolveClosed = resolve;
  });
  const codes = owner.version === 'h1' ? 'h2' : owner.version;

  const finish = (result: StreamOutcome): void => {
    if (outcome) return;
    outcome = result;
    queue.length = 0;
    owner.closed(result);
    resolveClosed(result);
  };
  const settle = (): void => {
    if (localEnd && peerEndTold) finish({ kind: 'ended' });
  };
  const pump = (): void => {
    while (!outcome && credit > 0 && queue.length > 0) {
      const next = queue.shift();
      if (!next) break;
      const part = next.subarray(0, Math.min(credit, next.length));
      if (part.length < next.length) queue.unshift(next.subarray(part.length));
      credit -= part.length;
      made.content?.data(part, 0, part.length);
    }
    if (outcome || queue.length > 0 || !peerEnd || peerEndTold) return;
    peerEndTold = true;
    made.content?.end();
    settle();
  };

  const tunnel: TunnelStream = {
    version: owner.version,
    closed,
    maxDatagramSize: owner.datagrams ? 1_200 : 0,
    nativeDatagrams: owner.datagrams,
    get id() {
      return id;
    },
    get buffered() {
      return buffered;
    },
    grant(bytes) {
      credit += bytes;
      pump();
    },
    write(bytes, start, end) {
      if (outcome || localEnd) return true;
      seen.bytes.push(bytes.slice(start, end));
      if (!peer.stalled) return true;
      buffered += end - start;
      return false;
    },
    end() {
      if (outcome || localEnd) return;
      localEnd = true;
      seen.ended = true;
      settle();
    },
    sendDatagram(head, body, start, end) {
      if (!owner.datagrams || outcome || localEnd) return 'dropped';
      if (head.length + end - start > 1_200) return 'too-large';
      seen.datagrams.push(Uint8Array.from([...head, ...body.subarray(start, end)]));
      return 'sent';
    },
    reset(reason: ResetReason) {
      if (outcome) return;
      const code = codeOf(reason, codes);
      queueMicrotask(() => finish({ kind: 'reset', by: 'local', reason, code, version: owner.version }));
    },
  };

  const peer: PeerStream = {
    request,
    stalled: false,
    get bytes() {
      return Buffer.concat(seen.bytes);
    },
    datagrams: seen.datagrams,
    get ended() {
      return seen.ended;
    },
    get over() {
      return outcome !== undefined;
    },
    inform: (status) => outcome ?? owner.informational({ status, fields: [] }),
    respond: (status = 200) => outcome ?? owner.response({ status, fields: [] }),
    write(text) {
      queue.push(Buffer.from(text));
      pump();
    },
    end() {
      peerEnd = true;
      pump();
    },
    datagram(text) {
      if (!outcome) owner.datagram(Buffer.from(text));
    },
    reset(reason) {
      const code = codeOf(reason, codes);
      finish({ kind: 'reset', by: 'peer', reason, code, version: owner.version });
    },
    resume() {
      peer.stalled = false;
      buffered = 0;
      if (!outcome) made.content?.drain();
    },
  };

  const made: FakeStream = {
    tunnel,
    peer,
    content: undefined,
    get outcome() {
      return outcome;
    },
    open(given) {
      id = given;
    },
    finish,
  };
  return made;
}

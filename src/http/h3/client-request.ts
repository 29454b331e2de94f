import { H3Error } from '../../protocol/h3-error.js';
import type { ResetReason } from '../../protocol/reset-reason.js';
import type { RequestHead } from '../request.js';
import type { ClientStreamHandler, StreamOutcome, TunnelStream } from '../tunnel-stream.js';
import { readResponse, requestSection } from './field-sections.js';
import type { ContentRules } from './peer-message.js';
import { QuicEvents } from './request-events.js';
import { RequestStream } from './request-stream.js';
import type { H3Session } from './session.js';

/** More informational responses to one request are taken for an attack. */
const MOST_INFORMATIONAL = 100;

function contentRules(request: RequestHead, status: number, length: number | undefined): ContentRules {
  const tunnel = request.kind !== 'plain' && status < 300;
  // RFC 9110 section 6.4.1: these have no content, whatever content-length says.
  const empty = (request.kind === 'plain' && request.method === 'HEAD') || status === 204 || status === 304;
  return { tunnel, datagrams: request.kind === 'extended', length: !tunnel && empty ? 0 : length };
}

/** A request as the client has it. */
class ClientRequest extends RequestStream {
  private informational = 0;
  /** The peer's MAX_STREAMS did not allow it at once. */
  private waited = false;

  constructor(
    session: H3Session,
    private readonly request: RequestHead,
    private readonly client: ClientStreamHandler,
  ) {
    super(session);
    this.handle(client);
  }

  send(section: Uint8Array): void {
    if (this.request.kind === 'extended') this.allowDatagrams();
    this.attach(this.session.quic.openBidirectional(new QuicEvents(this)));
    this.waited = this.id < 0;
    this.sendHead(section);
  }

  override quicOpened(id: number): void {
    super.quicOpened(id);
    if (this.waited && !this.outcome) this.client.opened?.(id);
  }

  protected head(bytes: Uint8Array, start: number, end: number): void {
    const { request, client, session } = this;
    const { maxFieldSectionSize } = session.limits;
    const { head, length } = readResponse(bytes, start, end, maxFieldSectionSize, request.kind !== 'plain');
    if (head.status >= 200) {
      client.response(head);
      this.expectContent(contentRules(request, head.status, length));
      return;
    }
    this.informational += 1;
    if (this.informational > MOST_INFORMATIONAL) {
      throw new H3Error('H3_EXCESSIVE_LOAD', 'too many informational responses', 'stream');
    }
    client.informational?.(head);
  }

  protected oversized(): void {
    this.abort('excessive-load');
  }

  protected incomplete(): void {
    this.abort('message-error');
  }

  protected sendingEnded(): void {}

  protected ended(): void {}
}

function refused(reason: ResetReason): StreamOutcome {
  return { kind: 'reset', by: 'local', reason, code: undefined, version: 'h3' };
}

/**
 * Sends a request. With `unusable` nothing is sent and the stream closes with that outcome, never before
 * this returns; so does a request that the peer's settings do not allow (`refused`), or one that is malformed
 * or too large for them (`message-error`).
 */
export function openRequest(
  session: H3Session,
  request: RequestHead,
  handler: ClientStreamHandler,
  unusable: StreamOutcome | undefined,
): TunnelStream {
  const stream = new ClientRequest(session, request, handler);
  const section = requestSection(request, session.peerSettings?.maxFieldSectionSize);
  // RFC 9220 section 3: not before the peer has allowed it.
  const allowed = request.kind !== 'extended' || session.peerSettings?.enableConnectProtocol === true;
  if (unusable || !allowed || !section) {
    const outcome = unusable ?? refused(allowed ? 'message-error' : 'refused');
    queueMicrotask(() => stream.finish(outcome));
    return stream;
  }
  session.add(stream);
  stream.send(section);
  return stream;
}

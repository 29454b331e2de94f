import { h3ErrorCodes } from '../../protocol/h3-error.js';
import type { RequestHead, ResponseHead } from '../request.js';
import type { ServerStream, StreamOutcome, TunnelStreamHandler } from '../tunnel-stream.js';
import { readRequest, responseSection } from './field-sections.js';
import type { AwaitedHead } from './head-deadlines.js';
import { RequestStream } from './request-stream.js';
import type { H3Session } from './session.js';

/** What a server's request stream needs of its connection. */
export interface ServerRequestHost {
  request(stream: ServerStream): TunnelStreamHandler;
  /** The head is awaited no longer: it came, or the stream is over. */
  headSettled(awaited: AwaitedHead<RequestStream>): void;
  /** The client gave the request up before it was answered. */
  cancelled(): void;
}

/** A request as the server has it. */
export class ServerRequest extends RequestStream implements ServerStream {
  /** Until its head has come. */
  awaited: AwaitedHead<RequestStream> | undefined;
  private requestHead: RequestHead | undefined;
  /** Of the final response, once it was given. */
  private status: number | undefined;

  constructor(
    session: H3Session,
    private readonly host: ServerRequestHost,
  ) {
    super(session);
  }

  get request(): RequestHead {
    if (!this.requestHead) throw new Error('the request has not come yet');
    return this.requestHead;
  }

  inform(head: ResponseHead): void {
    if (this.status !== undefined) throw new Error('the request has its final response');
    this.send(head);
  }

  respond(head: ResponseHead): void {
    if (this.status !== undefined) throw new Error('the request has its final response');
    this.status = head.status;
    this.send(head);
  }

  private send(head: ResponseHead): void {
    const section = responseSection(head, this.session.peerSettings?.maxFieldSectionSize);
    if (section) this.sendHead(section);
    else this.abort('internal-error');
  }

  private headSettled(): void {
    if (this.awaited) this.host.headSettled(this.awaited);
    this.awaited = undefined;
  }

  protected head(bytes: Uint8Array, start: number, end: number): void {
    const { head, length } = readRequest(bytes, start, end, this.session.limits.maxFieldSectionSize);
    this.requestHead = head;
    this.headSettled();
    const datagrams = head.kind === 'extended';
    if (datagrams) this.allowDatagrams();
    this.handle(this.host.request(this));
    this.expectContent({ tunnel: head.kind !== 'plain', datagrams, length });
  }

  protected oversized(): void {
    // RFC 9114 section 4.2.2: told by a response.
    this.respond({ status: 431, fields: [] });
    this.end();
  }

  protected incomplete(): void {
    // RFC 9114 section 4.1: no response can be made of it.
    this.abort('message-error', h3ErrorCodes.H3_REQUEST_INCOMPLETE);
  }

  protected sendingEnded(): void {
    const accepted = this.status !== undefined && this.status < 300;
    // RFC 9114 section 4.1: the response is complete, whatever is left of the request.
    if (!accepted || this.requestHead?.kind === 'plain') this.ignoreRest();
  }

  protected ended(outcome: StreamOutcome): void {
    this.headSettled();
    const cancelled = outcome.kind === 'reset' && outcome.reason === 'cancelled';
    if (cancelled && this.status === undefined) this.host.cancelled();
  }
}

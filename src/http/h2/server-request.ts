import type { Fields } from '../../protocol/fields.js';
import type { FieldSection } from '../../protocol/hpack/decoder.js';
import type { RequestHead, ResponseHead } from '../request.js';
import type { ServerStream, TunnelStreamHandler } from '../tunnel-stream.js';
import type { H2Connection } from './connection.js';
import { isWithoutContent, responseFields, unlessMalformed } from './messages.js';
import { RequestStream } from './request-stream.js';

/** What a request needs of its server. */
export interface ServerRequestHost {
  /** Value of Alt-Svc on the final response (RFC 7838). */
  readonly altSvc: string | undefined;
  /** The client gave a request up before its response. */
  wasted(): void;
}

/** A request as the server has it. */
export class ServerRequest extends RequestStream implements ServerStream {
  private responded = false;

  constructor(
    connection: H2Connection,
    id: number,
    readonly request: RequestHead,
    /** The content that it announces. */
    length: number | undefined,
    private readonly host: ServerRequestHost,
  ) {
    super(connection);
    this.streamId = id;
    this.expectContent({ tunnel: request.kind !== 'plain', length });
  }

  attach(handler: TunnelStreamHandler): void {
    this.handle(handler);
  }

  override write(bytes: Uint8Array, start: number, end: number): boolean {
    this.needsResponse();
    return super.write(bytes, start, end);
  }

  override end(): void {
    this.needsResponse();
    super.end();
  }

  inform(head: ResponseHead): void {
    if (!this.outcome && !this.responded) this.send(head, undefined, false);
  }

  respond(head: ResponseHead): void {
    if (this.outcome || this.responded) return;
    this.responded = true;
    const { request } = this;
    // RFC 7838 section 3: it speaks of the origin that was asked, which is another one for a forwarded request.
    const forwarded = request.kind === 'plain' && request.scheme === 'http';
    const bodiless = isWithoutContent(request, head.status);
    this.send(head, forwarded ? undefined : this.host.altSvc, bodiless);
    if (bodiless) this.sendingEnded = true;
  }

  override peerReset(code: number): void {
    if (!this.responded) this.host.wasted();
    super.peerReset(code);
  }

  protected head(_section: FieldSection): void {
    // The constructor has it.
  }

  private send(head: ResponseHead, altSvc: string | undefined, endStream: boolean): void {
    const fields = unlessMalformed(() => responseFields(head));
    if (!fields) {
      this.abort('internal-error');
      return;
    }
    const lines = altSvc === undefined || hasField(fields, 'alt-svc') ? fields : [...fields, line(altSvc)];
    this.connection.session.headers(this.id, this.connection.encode(lines), endStream);
  }

  private needsResponse(): void {
    if (!this.responded && !this.outcome) throw new Error('respond() comes before content');
  }
}

const line = (altSvc: string): readonly [string, string] => ['alt-svc', altSvc];

function hasField(fields: Fields, name: string): boolean {
  return fields.some(([key]) => key === name);
}

import type { Fields } from '../../protocol/fields.js';
import type { FieldSection } from '../../protocol/hpack/decoder.js';
import type { RequestHead } from '../request.js';
import type { ClientStreamHandler } from '../tunnel-stream.js';
import type { H2Connection } from './connection.js';
import { EarlyContent } from './early-content.js';
import { readResponse, responseLength, unlessMalformed } from './messages.js';
import { RequestStream } from './request-stream.js';

/** More informational responses to one request are taken for an attack. */
const MOST_INFORMATIONAL = 100;

/** A request as the client has it, which may have to wait for the peer's leave to open. */
export class ClientRequest extends RequestStream {
  private informational = 0;
  /** There until it is open. */
  private early: EarlyContent | undefined = new EarlyContent();

  constructor(
    connection: H2Connection,
    private readonly request: RequestHead,
    private readonly fields: Fields,
    private readonly client: ClientStreamHandler,
  ) {
    super(connection);
    this.handle(client);
  }

  override get buffered(): number {
    return this.early && !this.outcome ? this.early.buffered : super.buffered;
  }

  override grant(bytes: number): void {
    if (this.early) this.early.grant(bytes);
    else super.grant(bytes);
  }

  override write(bytes: Uint8Array, start: number, end: number): boolean {
    if (!this.early) return super.write(bytes, start, end);
    return this.outcome !== undefined || this.early.write(bytes, start, end);
  }

  override end(): void {
    if (this.early) this.early.end();
    else super.end();
  }

  /** Opens the stream, with what was asked of it before. */
  open(id: number): void {
    const { early, connection } = this;
    const { session } = connection;
    this.streamId = id;
    this.early = undefined;
    connection.add(this);
    session.headers(id, connection.encode(this.fields), false);
    if (!early) return;
    let room = true;
    for (const bytes of early.take()) room = session.write(id, bytes, 0, bytes.length);
    if (early.ended) this.end();
    this.grant(early.credit);
    if (early.blocked && room) queueMicrotask(() => this.outcome ?? this.client.drain());
  }

  /** It is open after it had to wait. */
  waited(): void {
    if (!this.outcome) this.client.opened?.(this.id);
  }

  protected head(section: FieldSection, endStream: boolean): void {
    if (section.oversized) {
      this.abort('excessive-load');
      return;
    }
    const { client } = this;
    const response = unlessMalformed(() => {
      const head = readResponse(section.fields);
      const final = head.status >= 200;
      return { head, final, length: final ? responseLength(this.request, head) : undefined };
    });
    // RFC 9113 section 8.1: an informational response does not end the stream.
    if (!response || (!response.final && endStream)) {
      this.abort('message-error');
      return;
    }
    const { head, final, length } = response;
    if (final) {
      this.expectContent({ tunnel: this.request.kind !== 'plain' && head.status < 300, length });
      client.response(head);
      return;
    }
    this.informational += 1;
    if (this.informational > MOST_INFORMATIONAL) this.abort('excessive-load');
    else client.informational?.(head);
  }
}

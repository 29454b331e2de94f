import type { ClientRequest } from 'node:http';
import type { Clock, Timer } from '../clock/clock.js';
import type { ServerStream } from '../http/tunnel-stream.js';

/** The content of a plain request on its way from the client to the origin. */
export interface RequestContent {
  data(bytes: Uint8Array, start: number, end: number): void;
  end(): void;
  /**
   * Resolves once it is known whether there is content: said by a length or by the method, or seen. A client that
   * says nothing for a second counts as one that will.
   */
  known(method: string): Promise<void>;
  hasContent(): boolean;
  /** Where it goes; again, while there is none. */
  sendTo(origin: ClientRequest): void;
  /** The answer is complete: a little more is thrown away, and a client that does not end is stopped. */
  discard(): void;
  /** The stream is over. */
  closed(): void;
  readonly ended: boolean;
  readonly bytes: number;
}

/** Bytes of content that may wait for the origin. */
const WINDOW = 256 * 1024;
/** How long a request that usually has no content may leave open whether it has, milliseconds. */
const DOUBT = 1_000;
/** Content that is thrown away after the answer, bytes, and for how long, milliseconds. */
const DISCARD = 64 * 1024;
const LINGER = 5_000;
/** Methods whose content means something (RFC 9110 section 9.3). */
const withContent: readonly string[] = ['POST', 'PUT', 'PATCH'];

/** `length` is what the request states. Content that is not as long resets the stream (RFC 9110 section 8.6). */
export function createRequestContent(
  stream: ServerStream,
  length: number | undefined,
  clock: Clock,
): RequestContent {
  /** What came before there was an origin: within the credit. */
  const waiting: Buffer[] = [];
  let origin: ClientRequest | undefined;
  let discarding = false;
  let linger: Timer | undefined;
  let seen: (() => void) | undefined;

  const write = (to: ClientRequest, chunk: Buffer): void => {
    to.write(chunk, () => {
      if (!discarding) stream.grant(chunk.length);
    });
  };
  const content: RequestContent & { ended: boolean; bytes: number } = {
    ended: false,
    bytes: 0,
    data(view, start, end) {
      content.bytes += end - start;
      if (discarding) return;
      if (length !== undefined && content.bytes > length) {
        stream.reset('message-error');
        return;
      }
      const chunk = Buffer.from(view.subarray(start, end));
      if (origin) write(origin, chunk);
      else waiting.push(chunk);
      seen?.();
    },
    end() {
      content.ended = true;
      if (length !== undefined && content.bytes < length && !discarding) {
        stream.reset('message-error');
        return;
      }
      origin?.end();
      seen?.();
    },
    known(method) {
      stream.grant(WINDOW);
      if (content.ended || length !== undefined || withContent.includes(method)) return Promise.resolve();
      return new Promise((resolve) => {
        const timer = clock.setTimeout(resolve, DOUBT);
        seen = () => {
          clock.clearTimeout(timer);
          resolve();
        };
      });
    },
    hasContent: () => (length === undefined ? !content.ended || content.bytes > 0 : length > 0),
    sendTo(to) {
      origin = to;
      for (const chunk of waiting.splice(0)) write(to, chunk);
      if (content.ended) to.end();
      else to.flushHeaders();
    },
    discard() {
      if (content.ended) return;
      discarding = true;
      stream.grant(DISCARD);
      // RFC 9113 section 8.1, RFC 9114 section 4.1: the answer was complete without the rest of the request.
      linger = clock.setTimeout(() => stream.reset('no-error'), LINGER);
      linger.unref();
    },
    closed() {
      clock.clearTimeout(linger);
    },
  };
  return content;
}

import type { RateLimit } from '../rate-limit.js';

/** What one HTTP/3 peer may ask for. Sizes in bytes, times in milliseconds. */
export interface H3Limits {
  /** Advertised as SETTINGS_MAX_FIELD_SECTION_SIZE; a larger request is answered with 431. Default 64 KiB. */
  readonly maxFieldSectionSize: number;
  /** A request's header section takes no longer from the opening of its stream; default 10,000. */
  readonly headersTimeout: number;
  /** The server's SETTINGS take no longer from the end of the handshake; default 10,000. */
  readonly settingsTimeout: number;
  /** Requests that the client gives up before their final response; more close the connection. */
  readonly cancelledRequests: RateLimit;
  /** Unidirectional streams of unknown type; more close the connection. */
  readonly unknownStreams: RateLimit;
  /** Datagrams kept for streams, or requests, that are not there yet: in all, for each connection. */
  readonly earlyDatagramBytes: number;
  readonly earlyDatagramCount: number;
  /** The least time for which they are kept; one round trip when that is longer. Default 100. */
  readonly earlyDatagramTime: number;
  /** A drained connection stays at least this long after its last stream, so that the last bytes arrive. Default 500. */
  readonly drainLinger: number;
}

export const defaultH3Limits: H3Limits = {
  maxFieldSectionSize: 64 * 1024,
  headersTimeout: 10_000,
  settingsTimeout: 10_000,
  cancelledRequests: { burst: 4_000, perSecond: 200 },
  unknownStreams: { burst: 100, perSecond: 10 },
  earlyDatagramBytes: 128 * 1024,
  earlyDatagramCount: 256,
  earlyDatagramTime: 100,
  drainLinger: 500,
};

/** The defaults with what is set in `limits`. */
export function h3Limits(limits: Partial<H3Limits> | undefined): H3Limits {
  return { ...defaultH3Limits, ...limits };
}

import { copyBytes } from './copy-bytes.js';
import { type TypeLengthValueHandler, TypeLengthValueParser, type ValuePlan } from './type-length-value.js';
import { varintSize, writeVarint } from './varint.js';

/** Capsule types that bauta knows. */
export const capsuleTypes = {
  /** RFC 9297 section 3.5. */
  DATAGRAM: 0x00,
  /** RFC 9484 section 4.7. */
  ADDRESS_ASSIGN: 0x01,
  ADDRESS_REQUEST: 0x02,
  ROUTE_ADVERTISEMENT: 0x03,
} as const;

/** A capsule type that means nothing (RFC 9297 section 5.4). */
const RESERVED_TYPE = 0x17;

/** Longest UDP payload that context 0 may carry; a longer one aborts the stream (RFC 9298 section 5). */
export const MAX_UDP_PAYLOAD = 65_527;

/**
 * Longest HTTP datagram payload taken out of a DATAGRAM capsule: a context id of 8 bytes, IP version, IPv6
 * address and port of an uncompressed bound datagram, and 65,527 bytes of UDP payload.
 */
export const MAX_DATAGRAM_PAYLOAD = 8 + 1 + 16 + 2 + MAX_UDP_PAYLOAD;

/** Why a capsule sequence cannot go on; both make the message malformed (RFC 9297 section 3.3). */
export type CapsuleProblem =
  /** A capsule that is wanted whole is longer than its limit. */
  | 'too-large'
  /** The stream ended inside a capsule. */
  | 'truncated';

export class CapsuleError extends Error {
  override readonly name = 'CapsuleError';
  constructor(
    readonly problem: CapsuleProblem,
    readonly type: number | undefined,
  ) {
    const which = type === undefined ? 'a capsule header' : `capsule type 0x${type.toString(16)}`;
    super(problem === 'too-large' ? `${which} is over its limit` : `the stream ended inside ${which}`);
  }
}

/** What is wanted of which capsule type; all others are skipped unread (RFC 9297 section 3.2). */
export interface CapsuleRules {
  /** Types wanted whole, with the most bytes each value may have. */
  readonly whole?: ReadonlyMap<number, number>;
  /** Types whose values are handed on as they come. */
  readonly streamed?: ReadonlySet<number>;
  /** Asked for any other type: true wants it whole too. It must keep to a bound of its own. */
  readonly others?: (type: number, length: number) => boolean;
  /** Longest DATAGRAM value; default `MAX_DATAGRAM_PAYLOAD`. */
  readonly maxDatagram?: number;
}

export interface CapsuleHandler {
  /** The value of a DATAGRAM capsule; the view is valid only during the call. */
  datagram(bytes: Uint8Array, start: number, end: number): void;
  /** A type wanted whole; the value is the receiver's own copy. */
  capsule?(type: number, value: Uint8Array): void;
  /** A part of a streamed value; the view is valid only during the call. */
  piece?(type: number, bytes: Uint8Array, start: number, end: number): void;
  /** A streamed value is complete; told for an empty one too. */
  finished?(type: number): void;
  /** A capsule that nobody wants begins; its value is not kept. */
  skipped?(type: number): void;
}

export interface CapsuleParser {
  /** True between two capsules, where a stream may end. */
  readonly atBoundary: boolean;
  /** Type of the capsule whose value is incomplete; undefined elsewhere. */
  readonly currentType: number | undefined;
  /** Bytes that are missing from it. */
  readonly valueLeft: number;
  /**
   * What another parser between two capsules would have to be fed to stand where this one does: of a capsule that is
   * skipped, or handed on as it comes, only what is missing of it.
   */
  rest(): Uint8Array;
  /** Takes the next bytes of the stream; throws `CapsuleError`, after which it must not be fed again. */
  push(bytes: Uint8Array, start: number, end: number): void;
  /** The stream ended cleanly; throws `CapsuleError` inside a capsule. */
  end(): void;
  /** Tells nothing more, also when called out of one of the handler's own calls. */
  stop(): void;
}

/** A class because there are thousands. */
class Parser implements CapsuleParser, TypeLengthValueHandler {
  private readonly values = new TypeLengthValueParser(this);

  constructor(
    private readonly rules: CapsuleRules,
    private readonly handler: CapsuleHandler,
  ) {}

  get atBoundary(): boolean {
    return this.values.atBoundary;
  }

  get currentType(): number | undefined {
    return this.values.currentType;
  }

  get valueLeft(): number {
    return this.values.valueLeft;
  }

  rest(): Uint8Array {
    return this.values.rest(RESERVED_TYPE);
  }

  push(bytes: Uint8Array, start: number, end: number): void {
    this.values.push(bytes, start, end);
  }

  end(): void {
    // RFC 9297 section 3.3: a capsule cut short makes the message malformed.
    if (!this.atBoundary) throw new CapsuleError('truncated', this.currentType);
  }

  stop(): void {
    this.values.stop();
  }

  // what the parser of values asks and tells

  begin(type: number, length: number): ValuePlan {
    const rules = this.rules;
    const limit =
      type === capsuleTypes.DATAGRAM ? (rules.maxDatagram ?? MAX_DATAGRAM_PAYLOAD) : rules.whole?.get(type);
    if (limit !== undefined) {
      if (length > limit) throw new CapsuleError('too-large', type);
      return 'whole';
    }
    if (rules.streamed?.has(type)) return 'pieces';
    if (rules.others?.(type, length)) return 'whole';
    this.handler.skipped?.(type);
    return 'skip';
  }

  whole(type: number, bytes: Uint8Array, start: number, end: number): void {
    if (type === capsuleTypes.DATAGRAM) this.handler.datagram(bytes, start, end);
    else this.handler.capsule?.(type, copyBytes(bytes, start, end));
  }

  piece(type: number, bytes: Uint8Array, start: number, end: number): void {
    this.handler.piece?.(type, bytes, start, end);
  }

  finished(type: number): void {
    this.handler.finished?.(type);
  }
}

/** Incremental parser of the capsule protocol (RFC 9297 section 3). */
export function createCapsuleParser(rules: CapsuleRules, handler: CapsuleHandler): CapsuleParser {
  return new Parser(rules, handler);
}

/** Bytes of the header of a capsule. */
export function capsuleHeaderSize(type: number, length: number): number {
  return varintSize(type) + varintSize(length);
}

/** Writes the header of a capsule whose value has `length` bytes; returns the offset after it. */
export function writeCapsuleHeader(bytes: Uint8Array, at: number, type: number, length: number): number {
  return writeVarint(bytes, writeVarint(bytes, at, type), length);
}

/** One whole capsule. */
export function encodeCapsule(type: number, value: Uint8Array): Uint8Array {
  const size = capsuleHeaderSize(type, value.length);
  const bytes = new Uint8Array(size + value.length);
  writeCapsuleHeader(bytes, 0, type, value.length);
  bytes.set(value, size);
  return bytes;
}

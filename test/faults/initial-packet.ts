import { createCipheriv, createHmac } from 'node:crypto';
import { encodeVarint } from '../../src/protocol/varint.js';

/** RFC 9001 section 5.2. */
const salt = Buffer.from('38762cf7f55934b34d179ae6a4c80cadccbb7f0a', 'hex');
/** RFC 9000 section 14.1: a client's Initial fills a datagram of this size at least. */
const SIZE = 1_200;
const VERSION_1 = Buffer.from([0, 0, 0, 1]);
const TAG = 16;

/** HKDF-Expand-Label with an empty context (RFC 8446 section 7.1); up to 32 bytes. */
function expandLabel(secret: Buffer, label: string, length: number): Buffer {
  const name = Buffer.from(`tls13 ${label}`);
  const info = Buffer.concat([Buffer.from([0, length, name.length]), name, Buffer.from([0])]);
  return createHmac('sha256', secret)
    .update(Buffer.concat([info, Buffer.from([1])]))
    .digest()
    .subarray(0, length);
}

/** HKDF-Extract. */
const extract = (connectionId: Buffer): Buffer => createHmac('sha256', salt).update(connectionId).digest();

export interface InitialPacket {
  /** 8 bytes at least for a first one (RFC 9000 section 7.2). */
  readonly destination: Buffer;
  readonly source: Buffer;
  readonly token?: Buffer;
  /** Frames; PADDING fills the rest. */
  readonly frames: Buffer;
}

/** A client's Initial packet of QUIC version 1, protected as it must be (RFC 9001 section 5). */
export function initialPacket({
  destination,
  source,
  token = Buffer.alloc(0),
  frames,
}: InitialPacket): Buffer {
  const secret = expandLabel(extract(destination), 'client in', 32);
  const key = expandLabel(secret, 'quic key', 16);
  const nonce = expandLabel(secret, 'quic iv', 12);
  const protection = expandLabel(secret, 'quic hp', 16);

  const head = Buffer.concat([
    Buffer.from([0xc3]),
    VERSION_1,
    Buffer.from([destination.length]),
    destination,
    Buffer.from([source.length]),
    source,
    encodeVarint(token.length),
    token,
  ]);
  // A length of two bytes and a packet number of four, which is zero.
  const payload = Buffer.alloc(SIZE - head.length - 2 - 4 - TAG);
  frames.copy(payload);
  const length = 4 + payload.length + TAG;
  const header = Buffer.concat([head, Buffer.from([0x40 | (length >> 8), length & 0xff, 0, 0, 0, 0])]);
  const cipher = createCipheriv('aes-128-gcm', key, nonce).setAAD(header);
  const packet = Buffer.concat([header, cipher.update(payload), cipher.final(), cipher.getAuthTag()]);

  const number = header.length - 4;
  const sample = packet.subarray(number + 4, number + 20);
  const mask = createCipheriv('aes-128-ecb', protection, null).update(sample);
  packet[0] = (packet[0] ?? 0) ^ ((mask[0] ?? 0) & 0x0f);
  for (let index = 0; index < 4; index++) {
    packet[number + index] = (packet[number + index] ?? 0) ^ (mask[1 + index] ?? 0);
  }
  return packet;
}

/** What a server says to an Initial. */
export type InitialAnswer =
  | { readonly kind: 'retry'; readonly source: Buffer; readonly destination: Buffer; readonly token: Buffer }
  | { readonly kind: 'initial' | 'other'; readonly destination: Buffer };

export function readAnswer(packet: Buffer): InitialAnswer {
  const toLength = packet[5] ?? 0;
  const destination = Buffer.from(packet.subarray(6, 6 + toLength));
  const at = 6 + toLength;
  const sourceLength = packet[at] ?? 0;
  const type = ((packet[0] ?? 0) & 0xf0) >> 4;
  // RFC 9000 section 17.2.5: a Retry ends with a tag of 16 bytes.
  if (type === 0xf) {
    const source = Buffer.from(packet.subarray(at + 1, at + 1 + sourceLength));
    return {
      kind: 'retry',
      source,
      destination,
      token: Buffer.from(packet.subarray(at + 1 + sourceLength, -16)),
    };
  }
  return { kind: type === 0xc ? 'initial' : 'other', destination };
}

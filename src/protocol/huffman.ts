import { EOS, huffmanCode } from './huffman-code.js';

/**
 * The code's tree as a machine that takes four bits at a step. An entry is
 * `next state << 16 | flags << 8 | symbol`; no code is shorter than five bits, so a step emits at most one.
 */
const EMITS = 0x100;
const FAILS = 0x200;

interface Machine {
  readonly steps: Uint32Array;
  /** 1 for a state in which the input may end: nothing, or fewer than eight ones, since the last symbol. */
  readonly final: Uint8Array;
}

function buildMachine(): Machine {
  // Inner nodes by number; a child is the number of an inner node, or the complement of a symbol.
  const children: [number, number][] = [[0, 0]];
  for (let symbol = 0; symbol <= EOS; symbol++) {
    const code = huffmanCode.codes[symbol] ?? 0;
    let node = 0;
    for (let bit = (huffmanCode.lengths[symbol] ?? 0) - 1; bit >= 0; bit--) {
      const side = ((code >>> bit) & 1) as 0 | 1;
      const pair = children[node] ?? [0, 0];
      if (bit === 0) {
        pair[side] = ~symbol;
      } else {
        if (pair[side] === 0) pair[side] = children.push([0, 0]) - 1;
        node = pair[side];
      }
    }
  }
  const steps = new Uint32Array(children.length * 16);
  for (let start = 0; start < children.length; start++) {
    for (let nibble = 0; nibble < 16; nibble++) {
      let node = start;
      let entry = 0;
      for (let bit = 3; bit >= 0; bit--) {
        const child = children[node]?.[((nibble >> bit) & 1) as 0 | 1] ?? 0;
        if (child >= 0) {
          node = child;
        } else {
          node = 0;
          // RFC 7541 section 5.2: EOS in a string is an error.
          entry = ~child === EOS ? FAILS : EMITS | ~child;
        }
        if (entry & FAILS) break;
      }
      steps[(start << 4) | nibble] = (node << 16) | entry;
    }
  }
  const final = new Uint8Array(children.length);
  for (let ones = 0, node = 0; ones < 8; ones++) {
    final[node] = 1;
    node = children[node]?.[1] ?? 0;
  }
  return { steps, final };
}

const machine = buildMachine();

/**
 * Decodes `bytes[start, end)` (RFC 7541 section 5.2) into `to` from its beginning; returns the number of bytes
 * written, or -1 for EOS or wrong padding. `to` needs room for 8/5 of the input.
 */
export function decodeHuffman(bytes: Uint8Array, start: number, end: number, to: Uint8Array): number {
  const { steps, final } = machine;
  let state = 0;
  let length = 0;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] ?? 0;
    let entry = steps[(state << 4) | (byte >> 4)] ?? FAILS;
    if (entry & EMITS) to[length++] = entry;
    if (entry & FAILS) return -1;
    entry = steps[((entry >>> 16) << 4) | (byte & 15)] ?? FAILS;
    if (entry & EMITS) to[length++] = entry;
    if (entry & FAILS) return -1;
    state = entry >>> 16;
  }
  return final[state] === 1 ? length : -1;
}

/** Bytes that `text` takes Huffman coded; throws `RangeError` for a character above U+00FF. */
export function huffmanSize(text: string): number {
  const { lengths } = huffmanCode;
  let bits = 0;
  let seen = 0;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i);
    seen |= symbol;
    bits += lengths[symbol] ?? 0;
  }
  if (seen > 0xff) throw new RangeError('a field with a character above U+00FF');
  return (bits + 7) >> 3;
}

/** Writes `text` (characters up to U+00FF) Huffman coded and padded; returns the offset after it. */
export function encodeHuffman(text: string, to: Uint8Array, at: number): number {
  const { codes, lengths } = huffmanCode;
  let offset = at;
  let held = 0;
  let bits = 0;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i);
    const code = codes[symbol] ?? 0;
    let length = lengths[symbol] ?? 0;
    // At most 7 bits are held, so 25 more fit in 32; longer codes go in two parts.
    if (length > 24) {
      length -= 16;
      held = (held << length) | (code >>> 16);
      for (bits += length; bits >= 8; ) {
        bits -= 8;
        to[offset++] = held >>> bits;
      }
      held = (held << 16) | (code & 0xffff);
      length = 16;
    } else {
      held = (held << length) | code;
    }
    for (bits += length; bits >= 8; ) {
      bits -= 8;
      to[offset++] = held >>> bits;
    }
  }
  if (bits > 0) to[offset++] = (held << (8 - bits)) | (0xff >> bits);
  return offset;
}

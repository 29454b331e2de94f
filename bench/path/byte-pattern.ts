import { createCipheriv, createHash } from 'node:crypto';

const block = Buffer.alloc(64 * 1024);

/** Bytes that look random and are the same each time, in pieces. */
export function bytePattern(): { next(size: number): Buffer } {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, 7), Buffer.alloc(16));
  return { next: (size) => cipher.update(block.subarray(0, size)) };
}

/** The checksum of the first `count` bytes of the pattern. */
export function patternHash(count: number): string {
  const hash = createHash('sha256');
  const pattern = bytePattern();
  for (let left = count; left > 0; ) {
    const piece = pattern.next(Math.min(left, block.length));
    hash.update(piece);
    left -= piece.length;
  }
  return hash.digest('hex');
}

/**
 * The memory that crosses to the engine: one buffer that JavaScript owns, operations in its first
 * part, completions in its second. Being one, a datagram that goes straight through is moved within
 * it and needs no view of its own.
 */
export interface Arena {
  readonly bytes: Uint8Array;
  readonly words: Uint32Array;
  /** Where the completions begin, bytes. */
  readonly completions: number;
}

/** Bytes of operations handed over at most at once; a single operation is smaller. */
export const operationsSize = 256 * 1024;

/** Bytes of completions taken at once; a single completion is smaller. */
const completionsSize = 512 * 1024;

export function createArena(): Arena {
  const memory = new ArrayBuffer(operationsSize + completionsSize);
  return { bytes: new Uint8Array(memory), words: new Uint32Array(memory), completions: operationsSize };
}

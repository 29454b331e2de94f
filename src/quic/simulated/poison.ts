const margin = 8;
const poison = 0xdb;

/**
 * Gives `bytes` as a view that starts at an odd place of a larger buffer and is overwritten after the call,
 * so that a test fails when somebody keeps the view or forgets `start` and `end`.
 */
export function giveView(
  bytes: Uint8Array,
  start: number,
  end: number,
  receive: (view: Uint8Array, start: number, end: number) => void,
): void {
  const view = new Uint8Array(end - start + 2 * margin).fill(poison);
  view.set(bytes.subarray(start, end), margin);
  try {
    receive(view, margin, margin + end - start);
  } finally {
    view.fill(poison);
  }
}

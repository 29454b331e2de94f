import { connectHead } from './bench.js';
import { connectionTests } from './connection.js';
import { contentTests } from './content.js';
import { datagramTests } from './datagrams.js';
import { endingTests } from './endings.js';
import { openingTests } from './opening.js';
import type { Implementation } from './pair.js';

/**
 * What `tunnel-stream.ts`, `connection.ts`, `request.ts` and `datagram-stream.ts` promise, tested on any
 * implementation: call it in a test file with a way to make connections.
 */
export function tunnelStreamConformance(implementation: Implementation): void {
  openingTests(implementation);
  contentTests(implementation);
  endingTests(implementation);
  if (implementation.supports.connectKind) endingTests(implementation, connectHead);
  connectionTests(implementation);
  datagramTests(implementation);
}

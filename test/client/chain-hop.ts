import assert from 'node:assert/strict';
import { BautaError } from '../../src/protocol/bauta-error.js';
import type { ErrorCode } from '../../src/protocol/failures.js';
import type { ProxyEvent } from '../../src/proxy/events.js';
import { createPasswordStore } from '../../src/proxy/password-store.js';
import { startTestProxy, type TestProxy } from './test-proxy.js';

/** A proxy with a key and a password of its own, which notes what it was asked for. */
export async function startHop(password: string): Promise<TestProxy & { readonly events: ProxyEvent[] }> {
  const events: ProxyEvent[] = [];
  const hop = await startTestProxy({
    authenticate: createPasswordStore([['user', password]]).authenticate,
    onEvent: (event) => events.push(event),
  });
  return { ...hop, events, link: hop.link.replace(':secret@', `:${password}@`) };
}

/** The ports of the targets that a hop was asked for. */
export function portsAsked({ events }: { readonly events: readonly ProxyEvent[] }): number[] {
  return events.flatMap((event) => (event.event === 'tunnel-opened' ? [event.target.port] : []));
}

export async function until(condition: () => boolean, what: string): Promise<void> {
  for (let count = 0; !condition(); count++) {
    assert.ok(count < 6_000, what);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Checks the code of an error and the hop that it tells. */
export function failure(code: ErrorCode, hop: number | undefined) {
  return (error: unknown): boolean => {
    assert.ok(error instanceof BautaError);
    assert.deepEqual([error.code, error.hop], [code, hop], error.message);
    return true;
  };
}

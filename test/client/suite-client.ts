import { after, before } from 'node:test';
import type { ClientCore } from '../../src/client/client-core.js';
import { connectCore } from '../../src/client/connect.js';
import type { HttpVersion } from '../../src/protocol/reset-reason.js';
import { startTestProxy, type TestProxy } from './test-proxy.js';

/** What the tests of a suite share; there once it has begun. */
export interface SuiteClient {
  readonly client: () => ClientCore;
  readonly proxy: () => TestProxy;
}

/** One proxy, and one client with a connection of this version, for all tests of a suite. */
export function suiteClient(version: HttpVersion): SuiteClient {
  let proxy: TestProxy | undefined;
  let client: ClientCore | undefined;
  before(async () => {
    proxy = await startTestProxy();
    client = await connectCore(proxy.link, { versions: [version] });
  });
  after(async () => {
    await client?.close();
    await proxy?.[Symbol.asyncDispose]();
  });
  const begun = <T>(value: T | undefined): T => {
    if (value === undefined) throw new Error('the suite has not begun');
    return value;
  };
  return { client: () => begun(client), proxy: () => begun(proxy) };
}

import { after } from 'node:test';
import { publicKeyPin } from '../../src/ops/public-key-pin.js';
import { createProxy } from '../../src/proxy/create-proxy.js';
import type { ProxyEvent } from '../../src/proxy/events.js';
import type { ProxyOptions } from '../../src/proxy/options.js';
import { createPasswordStore } from '../../src/proxy/password-store.js';
import type { RunningProxy } from '../../src/proxy/proxy.js';
import { selfSigned } from '../../src/quic/native/index.js';
import { dataPath } from '../data-path.js';
import { shardOption } from '../shards.js';

/** One proxy of a chain on loopback, with a user of its own. */
export interface ChainProxy {
  readonly proxy: RunningProxy;
  readonly events: ProxyEvent[];
  readonly port: number;
  readonly tls: { readonly cert: string; readonly key: string };
  /** With name, password and pin. */
  readonly link: string;
}

/** Starts a proxy that lets in the user `user` with the password `password`, and reaches loopback. */
export async function startHop(password: string, options: Partial<ProxyOptions> = {}): Promise<ChainProxy> {
  const tls = selfSigned(['localhost', '127.0.0.1', '::1'], 2);
  const events: ProxyEvent[] = [];
  const proxy = await createProxy({
    listen: '127.0.0.1:0',
    tls,
    authenticate: createPasswordStore([['user', password]]).authenticate,
    targets: { allow: ['127.0.0.0/8', '::1'] },
    onEvent: (event) => events.push(event),
    dataPath,
    ...shardOption,
    ...options,
  });
  after(() => proxy.close());
  const port = proxy.addresses[0]?.port ?? 0;
  const link = `https://user:${password}@127.0.0.1:${port}/#pin=${publicKeyPin(tls.cert)}`;
  return { proxy, events, port, tls, link };
}

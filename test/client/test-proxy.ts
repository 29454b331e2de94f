import { publicKeyPin } from '../../src/ops/public-key-pin.js';
import { createProxy } from '../../src/proxy/create-proxy.js';
import type { ProxyOptions } from '../../src/proxy/options.js';
import { createPasswordStore } from '../../src/proxy/password-store.js';
import type { RunningProxy } from '../../src/proxy/proxy.js';
import { selfSigned } from '../../src/quic/native/index.js';
import { dataPath } from '../data-path.js';
import { shardOption } from '../shards.js';

export interface TestProxy extends AsyncDisposable {
  readonly proxy: RunningProxy;
  readonly port: number;
  readonly pin: string;
  readonly tls: { readonly cert: string; readonly key: string };
  /** With name, password and pin. */
  readonly link: string;
}

/** A proxy on 127.0.0.1 with the user `user`, password `secret`, that reaches this machine. */
export async function startTestProxy(options: Partial<ProxyOptions> = {}): Promise<TestProxy> {
  const tls = selfSigned(['localhost', '127.0.0.1', '::1'], 2);
  const proxy = await createProxy({
    listen: '127.0.0.1:0',
    tls,
    authenticate: createPasswordStore([['user', 'secret']]).authenticate,
    targets: { allow: ['127.0.0.0/8'] },
    dataPath,
    ...shardOption,
    ...options,
  });
  const port = proxy.addresses[0]?.port ?? 0;
  const pin = publicKeyPin(tls.cert);
  return {
    proxy,
    port,
    pin,
    tls,
    link: `https://user:secret@127.0.0.1:${port}/#pin=${pin}`,
    [Symbol.asyncDispose]: () => proxy.close(),
  };
}

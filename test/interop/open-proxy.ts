import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createProxy, type ProxyOptions, type Proxy as RunningProxy } from '../../src/proxy/index.js';
import { selfSigned } from '../../src/quic/native/index.js';
import { dataPath } from '../data-path.js';
import { shardOption } from '../shards.js';

/** A real proxy on loopback, for clients that are not ours, with its certificate in files. */
export interface ProxyUnderTest {
  readonly proxy: RunningProxy;
  /** `127.0.0.1:PORT`, TCP and UDP. */
  readonly authority: string;
  readonly certFile: string;
  readonly keyFile: string;
  readonly template: string;
  close(): Promise<void>;
}

export async function openProxy(options: Partial<ProxyOptions> = {}): Promise<ProxyUnderTest> {
  const folder = await mkdtemp(join(tmpdir(), 'bauta-interop-'));
  const tls = selfSigned(['localhost', '127.0.0.1', '::1'], 2);
  const [certFile, keyFile] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  await writeFile(certFile, tls.cert);
  await writeFile(keyFile, tls.key);
  const proxy = await createProxy({
    listen: '127.0.0.1:0',
    tls,
    authenticate: 'anyone',
    targets: { allow: ['127.0.0.0/8', '::1/128'] },
    dataPath,
    ...shardOption,
    ...options,
  });
  const port = proxy.addresses[0]?.port;
  const authority = `127.0.0.1:${port}`;
  return {
    proxy,
    authority,
    certFile,
    keyFile,
    template: `https://${authority}/.well-known/masque/udp/{target_host}/{target_port}/`,
    close: async () => {
      await proxy.close();
      await rm(folder, { recursive: true });
    },
  };
}

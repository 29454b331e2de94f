import { systemClock } from '../../src/clock/system-clock.js';
import type { HttpServerConnection } from '../../src/http/connection.js';
import { acceptH3 } from '../../src/http/h3/server.js';
import { listenTcp } from '../../src/http/tcp/listener.js';
import type { ServerStream, TunnelStreamHandler } from '../../src/http/tunnel-stream.js';
import { publicKeyPin } from '../../src/ops/public-key-pin.js';
import { createNativeEngine, selfSigned } from '../../src/quic/native/index.js';

export interface ScriptedServer extends AsyncDisposable {
  readonly port: number;
  /** With the pin of its certificate. */
  readonly link: string;
}

/** What happens to each request. */
export type Script = (stream: ServerStream, connection: HttpServerConnection) => void;

const silent: TunnelStreamHandler = { data() {}, end() {}, datagram() {}, drain() {}, closed() {} };

/** Takes a request itself; one that it leaves is the script's. */
export type Serve = (
  stream: ServerStream,
  connection: HttpServerConnection,
) => TunnelStreamHandler | undefined;

/** A server of all three versions on 127.0.0.1 that answers as a script says, right or wrong. */
export async function startScriptedServer(
  script: Script,
  tls: { readonly cert: string; readonly key: string } = selfSigned(['127.0.0.1'], 2),
  serve: Serve = () => undefined,
): Promise<ScriptedServer> {
  const engine = createNativeEngine();
  const accept = (connection: HttpServerConnection) => ({
    request(stream: ServerStream) {
      const served = serve(stream, connection);
      if (served) return served;
      queueMicrotask(() => script(stream, connection));
      return silent;
    },
  });
  let connections = 0;
  for (;;) {
    const quic = await engine.listen(
      { local: { address: '127.0.0.1', port: 0 }, tls: { certificates: [tls], alpn: ['h3'] } },
      acceptH3({ clock: systemClock }, accept),
    );
    const { port } = quic.localAddress;
    try {
      const tcp = await listenTcp(
        {
          engine,
          local: { address: '127.0.0.1', port },
          tls: { certificates: [tls], alpn: ['h2', 'http/1.1'] },
          clock: systemClock,
          nextConnectionId: () => ++connections,
        },
        accept,
      );
      return {
        port,
        link: `https://user:secret@127.0.0.1:${port}/#pin=${publicKeyPin(tls.cert)}`,
        async [Symbol.asyncDispose]() {
          await tcp.close();
          await engine.close();
        },
      };
    } catch {
      // The port was taken for TCP: another one.
      await quic.close(0x100, '');
    }
  }
}

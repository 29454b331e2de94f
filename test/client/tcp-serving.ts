import { once } from 'node:events';
import { connect } from 'node:net';
import { systemClock } from '../../src/clock/system-clock.js';
import type { ServerStream, TunnelStreamHandler } from '../../src/http/tunnel-stream.js';
import { parseTarget } from '../../src/protocol/target.js';
import type { ByteSide, ByteSideHandler } from '../../src/tunnel/tcp/byte-side.js';
import { serveTcp } from '../../src/tunnel/tcp/serve-tcp.js';
import type { TcpForm } from '../../src/tunnel/tcp/tcp-form.js';

/** A Node socket to the target as the far side of a tunnel; enough for a test. */
async function reach(authority: string, handler: ByteSideHandler): Promise<ByteSide> {
  const { host, port } = parseTarget(authority);
  const socket = connect({ host, port, allowHalfOpen: true });
  await once(socket, 'connect');
  let cut = false;
  socket.pause();
  socket.on('data', (bytes: Buffer) => handler.data(bytes, 0, bytes.length));
  socket.on('end', () => handler.end());
  socket.on('drain', () => handler.drain());
  socket.on('error', () => {
    cut = true;
  });
  socket.on('close', () =>
    handler.closed(cut ? { kind: 'reset', reason: 'connect-error' } : { kind: 'ended' }),
  );
  return {
    get buffered() {
      return socket.writableLength;
    },
    grant: () => void socket.resume(),
    write: (bytes, start, end) => socket.write(Buffer.from(bytes.subarray(start, end))),
    end: () => void socket.end(),
    reset() {
      cut = true;
      socket.resetAndDestroy();
    },
  };
}

/** Serves one request for a TCP tunnel to the target. */
export function serveTcpTo(target: string, stream: ServerStream, form: TcpForm): TunnelStreamHandler {
  return serveTcp(
    stream,
    form,
    async (handler) => ({ kind: 'open', far: await reach(target, handler), fields: [] }),
    { clock: systemClock },
  ).streamHandler;
}

import { once } from 'node:events';
import net, { type AddressInfo } from 'node:net';
import type { TestContext } from 'node:test';

/** A way to the port that lets the client's first piece through and keeps the others until `open`. */
export async function gate(t: TestContext, port: number): Promise<{ readonly port: number; open(): void }> {
  let open: () => void = () => undefined;
  const server = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1');
    t.after(() => {
      near.destroy();
      far.destroy();
    });
    for (const socket of [near, far]) socket.on('error', () => undefined);
    far.pipe(near);
    near.once('data', (hello) => {
      far.write(hello);
      near.pause();
      open = () => near.pipe(far);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => server.close());
  return { port: (server.address() as AddressInfo).port, open: () => open() };
}

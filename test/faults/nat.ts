import { createSocket, type Socket } from 'node:dgram';
import { after } from 'node:test';

/** A forwarder of UDP that, like a NAT, can give its one client another outer port. */
export interface Nat {
  readonly port: number;
  readonly outerPort: number;
  /** The old outer port is gone at once. */
  rebind(): Promise<void>;
}

async function bound(): Promise<Socket> {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  return socket;
}

export async function startNat(port: number): Promise<Nat> {
  const inner = await bound();
  let client: { readonly address: string; readonly port: number } | undefined;
  const outside = async (): Promise<Socket> => {
    const socket = await bound();
    socket.on('message', (message) => client && inner.send(message, client.port, client.address));
    return socket;
  };
  let outer = await outside();
  inner.on('message', (message, from) => {
    client = from;
    outer.send(message, port, '127.0.0.1');
  });
  after(() => {
    inner.close();
    outer.close();
  });
  return {
    port: inner.address().port,
    get outerPort() {
      return outer.address().port;
    },
    async rebind() {
      const old = outer;
      outer = await outside();
      old.close();
    },
  };
}

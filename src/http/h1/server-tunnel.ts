import type { RequestHead, ResponseHead } from '../request.js';
import { withBuffered } from '../tcp/with-buffered.js';
import type { ServerStream, TunnelStreamHandler } from '../tunnel-stream.js';
import { chunkText, responseText } from './message-text.js';
import { createRawTunnel, type RawTunnel, type RawTunnelOptions } from './raw-tunnel.js';

export interface ServerTunnelOptions extends RawTunnelOptions {
  readonly request: RequestHead;
  /** The Upgrade token as the client wrote it; undefined for CONNECT. */
  readonly token: string | undefined;
  readonly altSvc: string | undefined;
  /** True while the connection wants no further request. */
  readonly closing: () => boolean;
  /** The tunnel was accepted: from here on the connection is its own. */
  opened(): void;
  /** An upgrade was refused and answered; what came behind the request is HTTP again, and the connection the caller's. */
  refused(rest: readonly Buffer[]): void;
  /** A CONNECT was refused and answered: nothing more is read (RFC 9931 section 5). */
  close(): void;
}

export interface BoundServerTunnel {
  readonly stream: ServerStream;
  attach(handler: TunnelStreamHandler): void;
  lose(): void;
}

/** The server's side of a CONNECT or of a GET with Upgrade. */
export function createServerTunnel(options: ServerTunnelOptions): BoundServerTunnel {
  const { connection, token, request } = options;
  let handler: TunnelStreamHandler | undefined;
  let state: 'asked' | 'open' | 'refusing' | 'over' = 'asked';
  let chunked = false;
  let keep = false;
  const tunnel: RawTunnel = createRawTunnel(options, {
    data: (bytes, start, end) => handler?.data(bytes, start, end),
    end: () => handler?.end(),
    datagram: () => undefined,
    drain: () => handler?.drain(),
    closed: (outcome) => handler?.closed(outcome),
  });

  // A refusal is written past the tunnel.
  connection.hold({
    ...tunnel.holder,
    drain() {
      if (state !== 'refusing') tunnel.holder.drain();
      else if (!tunnel.over()) handler?.drain();
    },
  });
  const send = (bytes: Buffer): boolean => connection.socket.write(bytes, 0, bytes.length);

  const accept = (head: ResponseHead): void => {
    state = 'open';
    const own: [string, string][] =
      token === undefined
        ? []
        : [
            ['connection', 'Upgrade'],
            ['upgrade', token],
          ];
    // RFC 9110 section 9.3.6: neither length nor transfer coding in a 2xx to CONNECT, nor in a 101.
    const fields = head.fields.filter(([name]) => name !== 'content-length');
    send(responseText(token === undefined ? head.status : 101, [...own, ...altSvcField(head)], fields));
    options.opened();
    tunnel.open();
  };
  const refuse = (head: ResponseHead): void => {
    state = 'refusing';
    keep = token !== undefined && !options.closing();
    const bodiless = head.status === 204 || head.status === 304;
    const sized = bodiless || head.fields.some(([name]) => name === 'content-length');
    chunked = keep && !sized;
    const own: [string, string][] = [['connection', keep ? 'keep-alive' : 'close'], ...altSvcField(head)];
    if (chunked) own.push(['transfer-encoding', 'chunked']);
    send(responseText(head.status, own, head.fields));
  };
  const altSvcField = (head: ResponseHead): [string, string][] =>
    options.altSvc === undefined || head.fields.some(([name]) => name === 'alt-svc')
      ? []
      : [['alt-svc', options.altSvc]];
  const refused = (): void => {
    state = 'over';
    if (chunked) send(chunkText(new Uint8Array()));
    if (keep) options.refused(tunnel.giveBack());
    else options.close();
    if (!tunnel.over()) {
      handler?.end();
      tunnel.conclude({ kind: 'ended' });
    }
  };

  const buffered = (): number =>
    tunnel.over() ? 0 : state === 'open' ? tunnel.buffered : connection.socket.buffered;
  const stream: ServerStream = withBuffered<ServerStream>(buffered, {
    version: 'h1',
    id: 0,
    request,
    nativeDatagrams: false,
    maxDatagramSize: 0,
    closed: tunnel.closed,
    grant: tunnel.grant,
    write(bytes, start, end) {
      if (state === 'open') return tunnel.write(bytes, start, end);
      if (state === 'asked' && !tunnel.over()) throw new Error('respond() comes before content');
      if (state !== 'refusing' || end === start || tunnel.over()) return true;
      return chunked
        ? send(chunkText(bytes.subarray(start, end)))
        : connection.socket.write(bytes, start, end);
    },
    writeFramed(head, headEnd, body, start, end) {
      if (state === 'open') return tunnel.writeFramed(head, headEnd, body, start, end);
      stream.write(head, 0, headEnd);
      return stream.write(body, start, end);
    },
    end() {
      if (state === 'open') tunnel.end();
      else if (state === 'refusing') process.nextTick(refused);
      else if (state === 'asked' && !tunnel.over()) throw new Error('respond() comes before content');
    },
    sendDatagram: tunnel.sendDatagram,
    reset(reason) {
      if (state !== 'over') tunnel.reset(reason);
    },
    inform(head) {
      if (state === 'asked' && !tunnel.over()) send(responseText(head.status, [], head.fields));
    },
    respond(head) {
      if (state !== 'asked' || tunnel.over()) return;
      try {
        if (head.status >= 200 && head.status < 300) accept(head);
        else refuse(head);
      } catch {
        // A field that cannot be sent.
        state = 'over';
        tunnel.reset('internal-error');
      }
    },
  });
  if (tunnel.spliceBytes) {
    const { spliceBytes } = tunnel;
    stream.spliceBytes = (socket, capsule, begun) => state === 'open' && spliceBytes(socket, capsule, begun);
  }
  const { spliceCapsules } = tunnel;
  if (spliceCapsules) {
    stream.spliceCapsules = (far, rest) => (state === 'open' ? spliceCapsules(far, rest) : undefined);
  }
  return {
    stream,
    attach(given) {
      handler = given;
    },
    lose: tunnel.lose,
  };
}

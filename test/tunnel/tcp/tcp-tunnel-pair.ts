import type { ResponseHead } from '../../../src/http/request.js';
import type { ServerStream } from '../../../src/http/tunnel-stream.js';
import { type ConnectTcpRevision, connectTcpRevisions } from '../../../src/protocol/connect-tcp.js';
import { type OpenTcpTunnel, openTcpTunnel } from '../../../src/tunnel/tcp/open-tcp.js';
import { serveTcp, type TcpDialOutcome, type TcpServing } from '../../../src/tunnel/tcp/serve-tcp.js';
import type { TcpForm } from '../../../src/tunnel/tcp/tcp-form.js';
import { type ScriptedSide, type SideRecorder, scriptedSide, sideRecorder } from './scripted-side.js';
import { type Connected, until, type World } from './worlds.js';

export const forms: readonly (TcpForm & { readonly name: string })[] = [
  { kind: 'connect', name: 'CONNECT' },
  ...connectTcpRevisions.map(
    (revision: ConnectTcpRevision) => ({ kind: 'connect-tcp', revision, name: revision.token }) as const,
  ),
];

export const newest: TcpForm = { kind: 'connect-tcp', revision: connectTcpRevisions[0] };

export interface TcpPairOptions {
  readonly idleTimeout?: number;
  readonly halfClosedTimeout?: number;
  /** Called instead of reaching the scripted target. */
  dial?(signal: AbortSignal): Promise<TcpDialOutcome | undefined>;
}

/** Both sides of TCP tunnels over one connection, the target a script. */
export interface TcpTunnelPair extends Connected {
  readonly form: TcpForm;
  readonly served: TcpServing[];
  readonly streams: ServerStream[];
  readonly targets: ScriptedSide[];
  target(): ScriptedSide;
  serving(): TcpServing;
  until(condition: () => boolean, what: string): Promise<void>;
}

export async function tcpTunnelPair(
  world: World,
  form: TcpForm,
  options: TcpPairOptions = {},
): Promise<TcpTunnelPair> {
  const served: TcpServing[] = [];
  const streams: ServerStream[] = [];
  const targets: ScriptedSide[] = [];
  const { dial, ...limits } = options;
  let clock: Connected['clock'] | undefined;
  const connected = await world.connect(() => ({
    request(stream) {
      if (!clock) throw new Error('a request before the connection');
      streams.push(stream);
      const serving = serveTcp(
        stream,
        form,
        async (handler, { signal }): Promise<TcpDialOutcome> => {
          const other = await dial?.(signal);
          if (other) return other;
          const far = scriptedSide(handler);
          targets.push(far);
          return { kind: 'open', far, fields: [['proxy-status', 'proxy; next-hop="192.0.2.6:443"']] };
        },
        { clock, ...limits },
      );
      served.push(serving);
      return serving.streamHandler;
    },
  }));
  clock = connected.clock;
  return {
    ...connected,
    form,
    served,
    streams,
    targets,
    target: () => only(targets),
    serving: () => only(served),
    until: (condition, what) => until(connected, condition, what),
  };
}

function only<T>(list: readonly T[]): T {
  const [first, ...more] = list;
  if (first === undefined || more.length > 0) throw new Error(`${list.length} instead of one`);
  return first;
}

export interface Asked {
  readonly tunnel: OpenTcpTunnel;
  readonly seen: SideRecorder;
  head: ResponseHead | undefined;
  error: (Error & { readonly code?: string }) | undefined;
  send(text: string | Uint8Array): boolean;
}

/** Asks for a tunnel in the pair's own form. */
export function ask(
  pair: Pick<TcpTunnelPair, 'client' | 'clock' | 'form'>,
  options: { readonly signal?: AbortSignal; readonly timeout?: number; readonly expect?: boolean } = {},
): Asked {
  const { signal = new AbortController().signal, timeout = 10_000, expect = false } = options;
  const seen = sideRecorder();
  const question = {
    fields: expect ? ([['expect', '100-continue']] as const) : [],
    clock: pair.clock,
    timeout,
  };
  const tunnel = openTcpTunnel(
    pair.client,
    pair.form.kind === 'connect'
      ? { ...question, form: pair.form, authority: '192.0.2.6:443' }
      : {
          ...question,
          form: pair.form,
          authority: 'proxy.test',
          path: '/.well-known/masque/tcp/192.0.2.6/443/',
        },
    seen,
    signal,
  );
  tunnel.start();
  const asked: Asked = {
    tunnel,
    seen,
    head: undefined,
    error: undefined,
    send(text) {
      const bytes = Buffer.from(text);
      return tunnel.write(bytes, 0, bytes.length);
    },
  };
  tunnel.ready.then(
    (head) => {
      asked.head = head;
    },
    (error: Error) => {
      asked.error = error;
    },
  );
  return asked;
}

export const plenty = 1 << 30;

/** An open tunnel; the client reads all that comes unless told otherwise. */
export async function opened(
  pair: TcpTunnelPair,
  credit = plenty,
): Promise<Asked & { readonly target: ScriptedSide; readonly serving: TcpServing }> {
  const before = pair.targets.length;
  const asked = ask(pair);
  if (credit > 0) asked.tunnel.grant(credit);
  await pair.until(() => asked.head !== undefined && pair.targets.length > before, 'the tunnel');
  const target = pair.targets[before];
  const serving = pair.served[before];
  if (!target || !serving) throw new Error('no target');
  return Object.assign(asked, { target, serving });
}

import type { Clock } from '../../src/clock/clock.js';
import type { HttpClientConnection } from '../../src/http/connection.js';
import { newestConnectTcp } from '../../src/protocol/connect-tcp.js';
import type { Fields } from '../../src/protocol/fields.js';
import { formatHostPort } from '../../src/protocol/target.js';
import { defaultTemplates, expandTemplate, parseTemplate } from '../../src/protocol/template.js';
import { type OpenTcpTunnel, openTcpTunnel } from '../../src/tunnel/tcp/open-tcp.js';
import type { TcpForm } from '../../src/tunnel/tcp/tcp-form.js';
import { type SideRecorder, sideRecorder } from '../tunnel/tcp/scripted-side.js';

export const classic: TcpForm = { kind: 'connect' };
export const templated: TcpForm = { kind: 'connect-tcp', revision: newestConnectTcp };

/** The two forms, by name. */
export const bothForms: readonly (readonly [name: string, form: TcpForm])[] = [
  ['CONNECT', classic],
  ['connect-tcp', templated],
];

export interface AskedTcp {
  readonly tunnel: OpenTcpTunnel;
  readonly seen: SideRecorder;
  send(text: string | Uint8Array): boolean;
}

const template = parseTemplate(defaultTemplates.tcp);

export interface AskTcpOptions {
  readonly clock: Clock;
  readonly form: TcpForm;
  readonly fields?: Fields;
  /** Instead of what the target makes: the authority of a CONNECT, or the path. */
  readonly literally?: string;
  /** Bytes that may come; default plenty, granted again as they come. */
  readonly credit?: number;
}

/** Asks for a TCP tunnel to the target. */
export function askTcp(
  connection: Pick<HttpClientConnection, 'open'>,
  host: string,
  port: number,
  { clock, form, fields = [], literally, credit }: AskTcpOptions,
): AskedTcp {
  const seen = sideRecorder();
  const common = { fields, clock, timeout: 30_000 };
  const path = literally ?? expandTemplate(template, { target_host: host, target_port: String(port) });
  const request =
    form.kind === 'connect'
      ? { ...common, form, authority: literally ?? formatHostPort(host, port) }
      : { ...common, form, authority: 'proxy.test', path };
  const tunnel = openTcpTunnel(connection, request, seen, new AbortController().signal);
  tunnel.start();
  if (credit === undefined) seen.onData = (size) => tunnel.grant(size);
  tunnel.grant(credit ?? 1 << 20);
  return {
    tunnel,
    seen,
    send(text) {
      const bytes = Buffer.from(text);
      return tunnel.write(bytes, 0, bytes.length);
    },
  };
}

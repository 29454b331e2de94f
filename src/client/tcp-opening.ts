import { BautaError } from '../protocol/bauta-error.js';
import type { ConnectTcpRevision } from '../protocol/connect-tcp.js';
import type { Fields } from '../protocol/fields.js';
import { formatHostPort, type Target as ParsedTarget } from '../protocol/target.js';
import type { ByteSideHandler } from '../tunnel/tcp/byte-side.js';
import { type OpenTcpTunnel, openTcpTunnel } from '../tunnel/tcp/open-tcp.js';
import type { TcpForm } from '../tunnel/tcp/tcp-form.js';
import type { OpenOptions } from './client.js';
import { type HeldBackSide, holdBack } from './held-back-side.js';
import type { ProxyAccess } from './proxy-access.js';
import type { AnsweredTunnel, AskForTunnel, OpenWithin, TunnelQuestion } from './tunnel-asker.js';

/** How TCP tunnels are asked for: by template with capsules, by classic CONNECT, or whichever the proxy knows. */
export type TcpChoice = 'auto' | 'connect' | 'connect-tcp';

export interface TcpOpeningOptions {
  readonly access: ProxyAccess;
  readonly within: OpenWithin;
  readonly choice: TcpChoice;
  readonly revision: ConnectTcpRevision;
  /** The proxy took to one form, or was found not to know the other. */
  readonly settled: (form: TcpForm['kind'], why: BautaError | undefined) => void;
}

export interface TcpOpening {
  /** What the proxy is known to understand; undefined before the first tunnel. */
  readonly form: TcpForm['kind'] | undefined;
  open(
    target: ParsedTarget,
    handler: ByteSideHandler,
    options: OpenOptions,
    /**
     * Told of each tunnel that is asked for by a form that the proxy is known to understand, where bytes may go
     * ahead of the answer (connect-tcp section 3); there is more than one where a connection was lost.
     */
    asked?: (tunnel: OpenTcpTunnel) => void,
  ): Promise<AnsweredTunnel<OpenTcpTunnel>>;
  /** The proxy may be another one: the next tunnel finds out again. */
  forget(): void;
}

/**
 * Statuses of servers that do not know connect-tcp: 501 for an unknown `:protocol` (RFC 9220 section 3), the
 * others from those that take an upgrade for a plain request. 407 is never an answer to it (connect-tcp
 * section 3), so it comes from a proxy that knows CONNECT only.
 */
const UNKNOWN_FORM: readonly (number | undefined)[] = [400, 404, 405, 407, 426, 501];

function saysUnknown(error: unknown): error is BautaError {
  return error instanceof BautaError && UNKNOWN_FORM.includes(error.status);
}

/** Reset instead of answered; a 200 to an HTTP/1.1 upgrade is told as that too. */
function wasReset(error: unknown): error is BautaError {
  return error instanceof BautaError && error.code === 'ERR_TUNNEL_RESET';
}

/** RFC 9110 section 11.7.1: what a template's origin takes as Authorization, a proxy takes under this name. */
function proxyFields(fields: Fields): Fields {
  return fields.map(([name, value]) => [name === 'authorization' ? 'proxy-authorization' : name, value]);
}

export function createTcpOpening(options: TcpOpeningOptions): TcpOpening {
  const { access, choice, revision, within } = options;
  let form: TcpForm['kind'] | undefined = choice === 'auto' ? undefined : choice;
  const settle = (kind: TcpForm['kind'], why?: BautaError): void => {
    if (form === kind) return;
    form = kind;
    options.settled(kind, why);
  };

  const askAs = async (
    ask: AskForTunnel,
    kindOf: (question: TunnelQuestion) => TcpForm['kind'],
    extendedConnect: boolean,
    target: ParsedTarget,
    handler: ByteSideHandler,
    tell?: (tunnel: OpenTcpTunnel) => void,
  ): Promise<AnsweredTunnel<OpenTcpTunnel>> => {
    let held: HeldBackSide | undefined;
    const answered = await ask({ extendedConnect, datagrams: false }, (question) => {
      const { connection, fields, clock, timeout, signal } = question;
      const kind = kindOf(question);
      const asked =
        kind === 'connect'
          ? ({
              form: { kind },
              authority: formatHostPort(target.host, target.port),
              fields: proxyFields(fields),
            } as const)
          : ({
              form: { kind, revision },
              authority: access.authority,
              path: access.tcpPath(target),
              fields,
            } as const);
      held = holdBack(handler);
      const tunnel = openTcpTunnel(connection, { ...asked, clock, timeout }, held.handler, signal);
      if (kind === form && kind === 'connect-tcp') tell?.(tunnel);
      return tunnel;
    });
    held?.release();
    return answered;
  };

  const askClassic = (ask: AskForTunnel, target: ParsedTarget, handler: ByteSideHandler) =>
    askAs(ask, () => 'connect', false, target, handler);

  /** Asks by connect-tcp, and by CONNECT where the proxy does not know it. */
  const findOut = async (
    ask: AskForTunnel,
    target: ParsedTarget,
    handler: ByteSideHandler,
    tell?: (tunnel: OpenTcpTunnel) => void,
  ): Promise<AnsweredTunnel<OpenTcpTunnel>> => {
    let asked: TcpForm['kind'] | undefined;
    let unknown: BautaError;
    // RFC 8441 section 3: without the peer's setting there is only classic CONNECT.
    const kindOf = (question: TunnelQuestion): TcpForm['kind'] => {
      const kind = question.extendedConnect ? 'connect-tcp' : 'connect';
      asked = kind;
      return kind;
    };
    try {
      const answered = await askAs(ask, kindOf, false, target, handler, tell);
      settle(asked ?? 'connect-tcp');
      return answered;
    } catch (error) {
      if (asked === 'connect' || !(saysUnknown(error) || (form === undefined && wasReset(error))))
        throw error;
      unknown = error;
    }
    try {
      const answered = await askClassic(ask, target, handler);
      settle('connect', unknown);
      return answered;
    } catch (error) {
      if (!(error instanceof BautaError) || error.status === undefined) throw error;
      // It knows neither; or it knows CONNECT, and has something else against this one.
      if (saysUnknown(error) && error.status !== 407) throw unknown;
      if (saysUnknown(unknown)) settle('connect', unknown);
      throw error;
    }
  };

  return {
    get form() {
      return form;
    },
    open: (target, handler, given, tell) =>
      within(given, async (ask) => {
        if (form === 'connect') return askClassic(ask, target, handler);
        if (choice === 'auto') return findOut(ask, target, handler, tell);
        return askAs(ask, () => 'connect-tcp', true, target, handler, tell);
      }),
    forget() {
      if (choice === 'auto') form = undefined;
    },
  };
}

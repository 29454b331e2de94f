import { dialError } from '../../client/dial-failure.js';
import type { ProxyAccess } from '../../client/proxy-access.js';
import type { DialProxy } from '../../client/proxy-dialer.js';
import { systemClock } from '../../clock/system-clock.js';
import type { HttpClientConnection } from '../../http/connection.js';
import { BautaError } from '../../protocol/bauta-error.js';
import { newestConnectTcp } from '../../protocol/connect-tcp.js';
import type { HttpVersion } from '../../protocol/reset-reason.js';
import { formatHostPort, formatTarget, type Target } from '../../protocol/target.js';
import type { ByteSideHandler } from '../../tunnel/tcp/byte-side.js';
import { openTcpTunnel } from '../../tunnel/tcp/open-tcp.js';
import { openUdpTunnel } from '../../tunnel/udp/open-udp.js';
import { type Finding, failed, ok } from './finding.js';

export interface VersionReport {
  readonly findings: readonly Finding[];
  /** The version came up and offers what a tunnel needs. */
  readonly up: boolean;
  /** The proxy accepted the credentials over it. */
  readonly admitted: boolean;
  /** A tunnel to the target asked for was opened. */
  readonly tunnel: boolean;
  readonly error: BautaError | undefined;
}

/** Nobody's address (TEST-NET-1, RFC 5737): asking for it shows whether the credentials are good. */
const NOBODY: Target = { kind: 'ipv4', host: '192.0.2.1', port: 9, disguisedAddress: false };

export const versionNames: Record<HttpVersion, string> = { h3: 'HTTP/3', h2: 'HTTP/2', h1: 'HTTP/1.1' };

function settingsText({ settings, version }: HttpClientConnection): string {
  if (version === 'h1') return 'Upgrade is tried below';
  const parts = [settings.extendedConnect ? 'extended CONNECT' : 'no extended CONNECT'];
  if (version === 'h3')
    parts.push(settings.datagrams ? 'HTTP datagrams' : 'no HTTP datagrams: capsules are used');
  if (settings.maxStreams !== undefined) parts.push(`${settings.maxStreams} streams`);
  return parts.join(', ');
}

async function roundTrip(connection: HttpClientConnection, timeout: number): Promise<number | undefined> {
  if (connection.version === 'h1') return undefined;
  return connection.ping(AbortSignal.timeout(timeout)).catch(() => undefined);
}

/** What the target says first is not wanted. */
const UNHEARD: ByteSideHandler = {
  data: () => undefined,
  end: () => undefined,
  drain: () => undefined,
  closed: () => undefined,
};

interface Asked {
  readonly findings: readonly Finding[];
  readonly admitted: boolean;
  readonly tunnel: boolean;
  readonly error: BautaError | undefined;
}

/**
 * Errors of an answer that speak of the target, as only one who was let in gets them. Anything else (a site that
 * knows no tunnels, a proxy that is busy) says nothing of the credentials.
 */
function letIn(error: BautaError): boolean {
  return (
    error.status !== undefined &&
    (error.code.startsWith('ERR_TARGET_') || error.code === 'ERR_PORTS_EXHAUSTED')
  );
}

async function askForTunnel(
  connection: HttpClientConnection,
  access: ProxyAccess,
  target: Target | undefined,
  timeout: number,
): Promise<Asked> {
  const name = versionNames[connection.version];
  const tunnel = openUdpTunnel(
    connection,
    {
      authority: access.authority,
      path: access.udpPath(target ?? NOBODY),
      fields: await access.credentials(),
      clock: systemClock,
      timeout,
    },
    { payload: () => undefined },
    new AbortController().signal,
  );
  const since = performance.now();
  try {
    await tunnel.ready;
  } catch (thrown) {
    const error = dialError(thrown);
    const admitted = letIn(error);
    const credentials = admitted
      ? ok(`${name} login`, 'the proxy accepts the credentials')
      : failed(`${name} login`, error);
    if (!admitted || !target)
      return { findings: [credentials], admitted, tunnel: false, error: admitted ? undefined : error };
    return {
      findings: [
        credentials,
        { ...failed(`${name} tunnel`, error), text: `UDP to ${formatTarget(target)}: ${error.message}` },
      ],
      admitted,
      tunnel: false,
      error,
    };
  }
  const took = performance.now() - since;
  const size = tunnel.maxPayloadSize;
  tunnel.end();
  const findings = [ok(`${name} login`, 'the proxy accepts the credentials')];
  if (target) {
    const narrow = size < 1_200 ? '; QUIC needs 1,200' : '';
    findings.push(
      ok(
        `${name} tunnel`,
        `UDP to ${formatTarget(target)} in ${took.toFixed(1)} ms, up to ${size} bytes a datagram${narrow}`,
        {
          milliseconds: took,
          maxDatagramSize: size,
        },
      ),
    );
  }
  return { findings, admitted: true, tunnel: target !== undefined, error: undefined };
}

/** Statuses of proxies that know CONNECT and not connect-tcp, as a client takes them. */
const UNKNOWN_FORM: readonly (number | undefined)[] = [400, 404, 405, 407, 426, 501];

/** Opens a TCP tunnel over a connection of its own (HTTP/1.1 has no other): by connect-tcp, or else by CONNECT. */
async function askForTcp(
  version: HttpVersion,
  access: ProxyAccess,
  dial: DialProxy,
  target: Target,
  timeout: number,
): Promise<Asked> {
  const name = `${versionNames[version]} tunnel`;
  const host = { host: target.host, port: target.port };
  let error: BautaError | undefined;
  for (const form of ['connect-tcp', 'connect'] as const) {
    let connection: HttpClientConnection | undefined;
    try {
      connection = await dial(version, {}, new AbortController().signal);
      const fields = await access.credentials();
      const asked =
        form === 'connect'
          ? {
              form: { kind: form },
              authority: formatHostPort(host.host, host.port),
              fields: fields.map(
                ([field, value]) =>
                  [field === 'authorization' ? 'proxy-authorization' : field, value] as const,
              ),
            }
          : {
              form: { kind: form, revision: newestConnectTcp },
              authority: access.authority,
              path: access.tcpPath(host),
              fields,
            };
      const since = performance.now();
      const tunnel = openTcpTunnel(
        connection,
        { ...asked, clock: systemClock, timeout },
        UNHEARD,
        new AbortController().signal,
      );
      await tunnel.ready;
      const took = performance.now() - since;
      tunnel.reset('cancelled');
      const text = `TCP to ${formatTarget(target)} in ${took.toFixed(1)} ms, by ${form === 'connect' ? 'CONNECT' : form}`;
      return {
        findings: [ok(name, text, { milliseconds: took, form })],
        admitted: true,
        tunnel: true,
        error: undefined,
      };
    } catch (thrown) {
      error = dialError(thrown);
      const unknown = UNKNOWN_FORM.includes(error.status) || error.code === 'ERR_TUNNEL_RESET';
      if (!unknown) break;
    } finally {
      await connection?.close();
    }
  }
  const finding = failed(name, error ?? new BautaError('ERR_INTERNAL'));
  return {
    findings: [{ ...finding, text: `TCP to ${formatTarget(target)}: ${finding.text}` }],
    admitted: false,
    tunnel: false,
    error,
  };
}

/** Connects over one version as a client does, then asks for tunnels. */
export async function examineVersion(
  version: HttpVersion,
  access: ProxyAccess,
  dial: DialProxy,
  target: Target | undefined,
  timeout: number,
): Promise<VersionReport> {
  const name = versionNames[version];
  const since = performance.now();
  let connection: HttpClientConnection;
  try {
    connection = await dial(version, {}, new AbortController().signal);
  } catch (thrown) {
    const error = dialError(thrown);
    return { findings: [failed(name, error)], up: false, admitted: false, tunnel: false, error };
  }
  try {
    const took = performance.now() - since;
    const rtt = await roundTrip(connection, timeout);
    const text = `up in ${took.toFixed(1)} ms${rtt === undefined ? '' : `, round trip ${rtt.toFixed(1)} ms`}; ${settingsText(connection)}`;
    const facts = { version, milliseconds: took, rtt, settings: connection.settings };
    if (!connection.settings.extendedConnect) {
      const error = new BautaError('ERR_VERSION_UNSUPPORTED', { detail: 'no extended CONNECT' });
      return {
        findings: [{ ...failed(name, error), facts }],
        up: false,
        admitted: false,
        tunnel: false,
        error,
      };
    }
    const asked = await askForTunnel(connection, access, target, timeout);
    const overTcp =
      asked.admitted && target ? await askForTcp(version, access, dial, target, timeout) : undefined;
    const tunnel = asked.tunnel || overTcp?.tunnel === true;
    return {
      findings: [
        ok(name, text, facts),
        ...asked.findings,
        // A UDP service need not have a TCP port of the same number.
        ...(overTcp?.findings ?? []).map((finding) =>
          asked.tunnel && finding.verdict === 'failed'
            ? { ...finding, verdict: 'warning' as const }
            : finding,
        ),
      ],
      up: true,
      admitted: asked.admitted,
      tunnel,
      error: asked.error ?? (tunnel ? undefined : overTcp?.error),
    };
  } finally {
    await connection.close();
  }
}

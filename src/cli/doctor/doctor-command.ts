import { isIP } from 'node:net';
import { dialError } from '../../client/dial-failure.js';
import { accessOf, type Hop } from '../../client/hop.js';
import type { ProxyAccess } from '../../client/proxy-access.js';
import { createProxyDialer } from '../../client/proxy-dialer.js';
import { resolveHost } from '../../client/resolve-host.js';
import { systemClock } from '../../clock/system-clock.js';
import { parseAccessLink, redactAccessLink } from '../../protocol/access-link.js';
import { BautaError } from '../../protocol/bauta-error.js';
import { failures } from '../../protocol/failures.js';
import { mostTelling } from '../../protocol/most-telling.js';
import { parseTarget, type Target } from '../../protocol/target.js';
import type { QuicEngine } from '../../quic/engine.js';
import { createNativeEngine } from '../../quic/native/index.js';
import { withAcceptingCommand } from '../accept-hint.js';
import type { CommandContext, RunCommand } from '../command.js';
import { readOptionFile, readSeconds, readVersions } from '../option-values.js';
import { proxyLink } from '../proxy-link.js';
import { type ShownIdentity, shownOverQuic, shownOverTcp } from './certificates.js';
import type { doctorTable } from './doctor-options.js';
import { examineVersion, type VersionReport, versionNames } from './examine-version.js';
import { type Finding, failed, findingLines, findingObject, ok } from './finding.js';

const TIMEOUT = 5_000;

interface Case {
  readonly access: ProxyAccess;
  readonly target: Target | undefined;
  readonly timeout: number;
  readonly engine: () => QuicEngine;
  readonly tell: (finding: Finding) => void;
  readonly progress: CommandContext['terminal']['progress'];
}

/** The key is not the one that the link pins: no version needs to be tried with it. */
function wrongPin(shown: ShownIdentity | undefined, { trust }: ProxyAccess): BautaError | undefined {
  if (!shown || trust.mode !== 'pin' || trust.pins.includes(shown.pin)) return undefined;
  return new BautaError('ERR_PIN_MISMATCH', { detail: `it is ${shown.pin}` });
}

function identityFinding(name: string, shown: ShownIdentity, access: ProxyAccess): Finding {
  const days = Math.floor((shown.validTo.getTime() - Date.now()) / 86_400_000);
  const signed = shown.selfSigned ? 'self-signed' : `issued by ${shown.issuer}`;
  const facts = {
    pin: shown.pin,
    subject: shown.subject,
    issuer: shown.issuer,
    names: shown.names,
    validTo: shown.validTo.toISOString(),
    alpn: shown.alpn,
    milliseconds: shown.took,
  };
  const text = `${signed}, ${days} days left, ${shown.pin}, ALPN ${shown.alpn || 'none'}`;
  const { trust } = access;
  const wrong = wrongPin(shown, access);
  if (wrong) return { ...failed(name, wrong), facts };
  if (days < 0)
    return { ...failed(name, new BautaError('ERR_CERTIFICATE_EXPIRED', { detail: text }), 'warning'), facts };
  return ok(name, trust.mode === 'pin' ? `${text}, as pinned` : text, facts);
}

/** Looks at the certificates without trusting them; tells whether UDP and TCP get through, to the right key. */
async function examineIdentity(
  subject: Case,
  address: string,
  versions: readonly string[],
): Promise<{
  readonly udp: BautaError | 'answers' | 'not-tried';
  readonly tcp: BautaError | 'answers' | 'not-tried';
}> {
  const { access, timeout, tell, progress } = subject;
  const remote = { address, port: access.port };
  let udp: BautaError | 'answers' | 'not-tried' = 'not-tried';
  let tcp: BautaError | 'answers' | 'not-tried' = 'not-tried';
  let overUdp: ShownIdentity | undefined;
  let overTcp: ShownIdentity | undefined;
  const quic = async (): Promise<ShownIdentity> =>
    shownOverQuic(subject.engine(), remote, access.host, timeout);
  const [first, second] = await progress(
    `connecting to ${address}`,
    Promise.allSettled([
      versions.includes('h3') ? quic() : undefined,
      versions.includes('h2') || versions.includes('h1')
        ? shownOverTcp(remote, access.host, timeout)
        : undefined,
    ]),
  );
  if (first.status === 'rejected') udp = dialError(first.reason);
  else if (first.value) [udp, overUdp] = ['answers', first.value];
  if (second.status === 'rejected') tcp = dialError(second.reason);
  else if (second.value) [tcp, overTcp] = ['answers', second.value];

  const blocked = udp instanceof BautaError && udp.code === 'ERR_PROXY_TIMEOUT' && tcp === 'answers';
  if (blocked) udp = new BautaError('ERR_UDP_BLOCKED', { detail: `no answer within ${timeout / 1_000} s` });
  if (udp instanceof BautaError) tell(failed('UDP', udp, tcp === 'answers' ? 'warning' : 'failed'));
  else if (overUdp) tell(ok('UDP', `QUIC answers in ${overUdp.took.toFixed(1)} ms from ${address}`));
  if (tcp instanceof BautaError) tell(failed('TCP', tcp, udp === 'answers' ? 'warning' : 'failed'));
  else if (overTcp) tell(ok('TCP', `TLS answers in ${overTcp.took.toFixed(1)} ms from ${address}`));
  if (overUdp) tell(identityFinding('QUIC certificate', overUdp, access));
  if (overTcp) tell(identityFinding('TLS certificate', overTcp, access));
  if (overUdp && overTcp && overUdp.pin !== overTcp.pin) {
    tell({
      name: 'certificates',
      verdict: 'warning',
      text: 'UDP and TCP show different public keys: they may be different machines',
      hint: 'Put both pins into the link: #pin=A&pin=B',
    });
  }
  return { udp: wrongPin(overUdp, access) ?? udp, tcp: wrongPin(overTcp, access) ?? tcp };
}

const UNUSABLE = 'This proxy cannot be used from here as it is.';

async function examine(
  subject: Case,
  versions: ReturnType<typeof readVersions>,
): Promise<{ readonly exit: number; readonly summary: string }> {
  const { access, tell, timeout, progress } = subject;
  const addresses = await progress(
    `resolving ${access.host}`,
    resolveHost(access.host, AbortSignal.timeout(timeout)),
  ).catch((thrown: unknown) => dialError(thrown));
  if (addresses instanceof BautaError) {
    tell(failed('name', addresses));
    return { exit: failures[addresses.code].exit, summary: UNUSABLE };
  }
  tell(ok('name', isIP(access.host) ? `${access.host} is an address` : addresses.join(', '), { addresses }));

  const reached = await examineIdentity(subject, addresses[0] ?? access.host, versions);
  const dial = createProxyDialer({
    access,
    engine: subject.engine,
    clock: systemClock,
    resolve: async () => addresses,
    handshakeTimeout: timeout,
  });
  const reports: VersionReport[] = [];
  const errors: BautaError[] = [];
  for (const version of versions) {
    const path = version === 'h3' ? reached.udp : reached.tcp;
    if (path instanceof BautaError) {
      errors.push(path);
      const network = version === 'h3' ? 'UDP' : 'TCP';
      const text =
        path.code === 'ERR_PIN_MISMATCH' ? 'not with this public key' : `${network} does not get through`;
      tell({ name: versionNames[version], verdict: 'skipped', text });
      continue;
    }
    const report = await progress(
      `asking over ${version}`,
      examineVersion(version, access, dial, subject.target, timeout),
    );
    for (const finding of report.findings) tell(finding);
    reports.push(report);
    if (report.error) errors.push(report.error);
  }

  const works = reports.filter((report) => report.admitted && (report.tunnel || !subject.target));
  if (works.length > 0) return { exit: 0, summary: 'This proxy can be used from here.' };
  const worst = mostTelling(errors);
  const summary = reports.some((report) => report.admitted)
    ? 'This proxy can be used from here, but not for this target.'
    : UNUSABLE;
  return { exit: worst ? failures[worst.code].exit : failures.ERR_VERSION_UNSUPPORTED.exit, summary };
}

export const runDoctor: RunCommand<typeof doctorTable> = async ({ options, positionals }, context) => {
  const { terminal } = context;
  const versions = readVersions(options.versions);
  const timeout = readSeconds('timeout', options.timeout, TIMEOUT);
  const target = options.target === undefined ? undefined : parseTarget(options.target);
  const ca =
    options.ca === undefined ? undefined : await readOptionFile('ca', options.ca, 'ERR_CERTIFICATE_FILE');
  const text = await proxyLink(positionals[0], context);
  const link = parseAccessLink(text);
  const hop: Hop = ca === undefined ? text : { url: text, ca };
  const access = accessOf(hop);
  const tell = (given: Finding): void => {
    const hinted = withAcceptingCommand(given.error, text, 'doctor');
    const better = hinted instanceof BautaError && hinted !== given.error;
    const finding = better ? { ...given, hint: hinted.hint ?? given.hint } : given;
    if (options.json) terminal.out(JSON.stringify(findingObject(finding)));
    else for (const line of findingLines(finding)) terminal.out(line);
  };
  const how = {
    pin: 'pinned',
    ca: 'checked by --ca',
    system: "checked by the system's roots",
    insecure: 'unchecked',
  };
  tell(
    ok(
      'link',
      `${redactAccessLink(link)}; ${link.user ? 'with name and password' : 'without credentials'}, certificate ${how[access.trust.mode]}`,
    ),
  );
  let engine: QuicEngine | undefined;
  const engineOf = (): QuicEngine => {
    engine ??= createNativeEngine();
    return engine;
  };
  try {
    const { exit, summary } = await examine(
      { access, target, timeout, engine: engineOf, tell, progress: terminal.progress },
      versions,
    );
    if (options.json) terminal.out(JSON.stringify({ event: 'summary', exit }));
    else terminal.out(summary);
    return exit;
  } finally {
    await engine?.close();
  }
};

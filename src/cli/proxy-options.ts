import type { CommandTable } from './option-table.js';

/** Everything that `bauta proxy` can be told. */
export const proxyTable = {
  name: 'proxy',
  summary: 'Run a proxy; safe and usable with no option at all',
  positionals: [],
  options: [
    {
      name: 'listen',
      value: '[HOST:]PORT',
      repeat: true,
      help: 'Where to listen, TCP and UDP alike; default localhost:4433. 4434 is localhost:4434, :443 is every address.',
    },
    {
      name: 'user',
      value: 'NAME:PASSWORD',
      repeat: true,
      help: 'Who may use it. BAUTA_USERS holds one a line.',
    },
    {
      name: 'user-file',
      value: 'FILE',
      complete: 'file',
      help: 'NAME:PASSWORD or NAME:ARGON2-HASH a line; read again on SIGHUP. - reads standard input, once.',
    },
    { name: 'no-auth', help: 'Let everybody in who can connect.' },
    { name: 'open-to-everyone', help: 'Say that --no-auth is meant although others can reach the proxy.' },
    {
      name: 'cert',
      value: 'FILE',
      complete: 'file',
      help: 'PEM certificate chain, leaf first; read again on SIGHUP. Default: a self-signed one is made and kept.',
    },
    { name: 'key', value: 'FILE', complete: 'file', help: 'PEM private key of --cert.' },
    {
      name: 'state-dir',
      value: 'DIR',
      complete: 'directory',
      help: 'Where the made certificate and user and a secret are kept; default ~/.local/state/bauta. Each proxy of a machine wants its own.',
    },
    {
      name: 'allow-target',
      value: 'CIDR',
      repeat: true,
      help: 'Lift the refusal of private and other special addresses for these; NAME@CIDR for those of a name.',
    },
    { name: 'only-target', value: 'CIDR|NAME', repeat: true, help: 'Let nothing else be a target.' },
    {
      name: 'deny-target',
      value: 'CIDR|NAME',
      repeat: true,
      help: 'Never let this be a target; wins over all.',
    },
    {
      name: 'via',
      value: 'LINK',
      help: 'Forward every tunnel to this proxy; - reads the link from standard input.',
    },
    {
      name: 'via-ca',
      value: 'FILE',
      complete: 'file',
      help: 'PEM roots to trust for --via instead of those of the system; read again on SIGHUP.',
    },
    {
      name: 'check',
      value: 'HOST:PORT',
      help: 'Explain what would be decided for this target (port 443 where none is given) and why, and run nothing.',
    },
    {
      name: 'template',
      value: 'PATH',
      help: 'Path of UDP tunnels; default /.well-known/masque/udp/{target_host}/{target_port}/.',
    },
    {
      name: 'tcp-template',
      value: 'PATH',
      help: 'Path of connect-tcp tunnels; default /.well-known/masque/tcp/{target_host}/{target_port}/.',
    },
    {
      name: 'public-address',
      value: 'ADDRESS',
      repeat: true,
      help: 'How others reach this machine: for the link and the certificate; refused as a target.',
    },
    {
      name: 'drain-timeout',
      value: 'SECONDS',
      help: 'How long tunnels may run on after SIGTERM or SIGINT; default 10.',
    },
    {
      name: 'data-path',
      value: 'auto|js|splice',
      complete: ['auto', 'js', 'splice'],
      help: 'What moves what open tunnels carry: the engine alone where it can (splice), JavaScript (js), or for UDP by the number of payloads (auto, the default).',
    },
    {
      name: 'congestion',
      value: 'cubic|bbr',
      complete: ['cubic', 'bbr'],
      help: 'How fast HTTP/3 sends: as TCP does (cubic, the default), or by what the path turns out to carry (bbr), which is many times faster where packets are lost, and less fair to others.',
    },
    {
      name: 'shards',
      value: 'N',
      help: 'Threads that HTTP/3 connections are spread over; default one for each core but one, at most 8.',
    },
    {
      name: 'tls-key-log',
      value: 'FILE',
      complete: 'file',
      help: 'Append TLS secrets to FILE, for debugging only.',
    },
    { name: 'json', help: 'Print one JSON object a line; the first is {"event":"listening",...}.' },
    { name: 'verbose', short: 'v', help: 'Tell of each connection and tunnel.' },
  ],
  examples: [
    { line: 'bauta proxy', does: 'On this machine only, with a certificate and a user made for it.' },
    {
      line: 'bauta proxy --listen :443 --public-address 203.0.113.7',
      does: 'For others too; prints the link to give them.',
    },
    {
      line: 'bauta proxy --listen :443 --cert chain.pem --key key.pem --user-file users',
      does: 'With a certificate and users of your own.',
    },
    {
      line: "bauta proxy --via 'https://NAME:PASSWORD@HOST:PORT/#pin=PIN'",
      does: 'As the first hop of a chain.',
    },
    {
      line: 'bauta proxy --allow-target 10.1.0.0/16 --check 10.1.2.3:53',
      does: 'Ask what would be decided for a target.',
    },
  ],
} as const satisfies CommandTable;

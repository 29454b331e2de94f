import { caOption, congestionOption, linkPositional } from './link-options.js';
import type { CommandTable } from './option-table.js';

/** Everything that `bauta client` can be told. */
export const clientTable = {
  name: 'client',
  summary: 'Local SOCKS5 and HTTP proxies, and local ports that lead to one target, through a proxy',
  positionals: [linkPositional],
  options: [
    {
      name: 'proxy',
      value: 'LINK',
      repeat: true,
      help: 'A chain: give it once for each proxy, nearest first, instead of LINK.',
    },
    {
      name: 'mixed',
      value: 'LOCAL',
      repeat: true,
      help: 'SOCKS5 and HTTP proxy on one local port: [HOST:]PORT. Without any of these five options it is localhost:1080.',
    },
    { name: 'socks', value: 'LOCAL', repeat: true, help: 'SOCKS5 alone: CONNECT and UDP ASSOCIATE.' },
    {
      name: 'http-proxy',
      value: 'LOCAL',
      repeat: true,
      help: 'HTTP proxy alone: CONNECT and http:// requests; browsers find /proxy.pac there.',
    },
    {
      name: 'tcp',
      value: 'LOCAL=TARGET',
      repeat: true,
      help: 'Carry the connections of a local port ([HOST:]PORT, on 127.0.0.1 by default) to HOST:PORT.',
    },
    {
      name: 'udp',
      value: 'LOCAL=TARGET',
      repeat: true,
      help: 'Carry datagrams of a local port ([HOST:]PORT, on 127.0.0.1 by default) to HOST:PORT.',
    },
    {
      name: 'local-user',
      value: 'NAME:PASSWORD',
      help: 'What apps must log in with at the local proxies; default is BAUTA_LOCAL_USER. Needed where other machines can reach them.',
    },
    {
      name: 'associate-address',
      value: 'ADDRESS',
      help: 'Where SOCKS5 apps are told to send datagrams; default the address that they reached it by.',
    },
    {
      name: 'open-to-everyone',
      help: 'Say that a LOCAL of --tcp or --udp which other machines can reach is meant: these have no password.',
    },
    {
      name: 'versions',
      value: 'LIST',
      help: 'HTTP versions to try, from 3, 2 and 1; default 3,2,1. Of a chain: for the first proxy.',
      complete: ['3', '2', '1', '3,2', '2,1', '3,2,1'],
    },
    {
      name: 'data-path',
      value: 'auto|js|splice',
      complete: ['auto', 'js', 'splice'],
      help: 'What moves what open tunnels carry: the engine alone where it can (splice), JavaScript (js), or for --udp by the number of datagrams (auto, the default). UDP of SOCKS5 is always moved by JavaScript.',
    },
    congestionOption,
    caOption,
    { name: 'timeout', value: 'SECONDS', help: 'For connecting at the start; default 10.' },
    { name: 'verbose', short: 'v', help: 'Tell what was tried, what won and why, and of each local peer.' },
    { name: 'json', help: 'Print one JSON object a line; the first is {"event":"ready",...}.' },
  ],
  examples: [
    {
      line: "bauta client 'https://NAME:PASSWORD@HOST:4433/#pin=sha256-…'",
      does: 'Then, for one: curl --proxy socks5h://127.0.0.1:1080 https://example.com',
    },
    {
      line: "bauta client 'https://…' --udp 5353=1.1.1.1:53 --tcp 8080=example.com:80",
      does: 'dig @127.0.0.1 -p 5353 example.com then asks 1.1.1.1 through the proxy.',
    },
    {
      line: 'BAUTA_PROXY=… bauta client --socks 192.0.2.7:1080 --local-user me:secret',
      does: 'For the local network, with a password. The link comes from the environment.',
    },
    {
      line: "bauta client --proxy 'https://…' --proxy 'https://…'",
      does: 'Through two proxies: the first sees only the second, the second sees the targets.',
    },
  ],
} as const satisfies CommandTable;

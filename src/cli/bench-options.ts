import { caOption, congestionOption, linkPositional } from './link-options.js';
import type { CommandTable } from './option-table.js';

/** Everything that `bauta bench` can be told. */
export const benchTable = {
  name: 'bench',
  summary: "Speed through a proxy, any vendor's: set-up time, UDP, TCP",
  positionals: [linkPositional],
  options: [
    {
      name: 'serve',
      value: '[HOST:]PORT',
      help: 'Be the far end instead: answer speed tests on this UDP and TCP port, of all addresses or of HOST.',
    },
    {
      name: 'to',
      value: 'HOST:PORT',
      help: 'A far end that the proxy reaches (bauta bench --serve); without it one is started on this machine.',
    },
    {
      name: 'only',
      value: 'PART',
      repeat: true,
      help: 'Measure only setup, udp or tcp.',
      complete: ['setup', 'udp', 'tcp'],
    },
    {
      name: 'versions',
      value: 'LIST',
      help: 'HTTP versions to measure one after the other, from 3, 2 and 1; without it the one a client would take.',
      complete: ['3', '2', '1', '3,2', '2,1', '3,2,1'],
    },
    congestionOption,
    { name: 'duration', value: 'SECONDS', help: 'For each measurement, 0.5 to 60; default 3.' },
    {
      name: 'rate',
      value: 'NUMBER',
      help: 'Datagrams a second for the round trips, 1 to 100000; default 500.',
    },
    {
      name: 'size',
      value: 'BYTES',
      help: 'Of a datagram, 64 to 65000; default 1200, less if the tunnel says so.',
    },
    { name: 'streams', value: 'NUMBER', help: 'TCP streams besides a single one, 1 to 64; default 8.' },
    caOption,
    { name: 'timeout', value: 'SECONDS', help: 'For connecting and for opening a tunnel; default 10.' },
    { name: 'json', help: 'Print one JSON object a line.' },
  ],
  examples: [
    { line: "bauta bench 'LINK'", does: 'Speed to this machine, if the proxy may connect to it.' },
    { line: 'bauta bench --serve 4500', does: 'On a machine that the proxy reaches: the far end.' },
    {
      line: "bauta bench 'LINK' --to far.example:4500 --versions 3,2,1",
      does: 'Through the proxy to that machine, over each HTTP version.',
    },
  ],
} as const satisfies CommandTable;

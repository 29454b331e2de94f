#!/usr/bin/env node
import { readFileSync } from 'node:fs';
import { text } from 'node:stream/consumers';
import { redactLinks } from '../protocol/access-link.js';
import { closest } from './closest-word.js';
import { commands } from './commands.js';
import { commandHelp, overviewHelp } from './help-text.js';
import { usageError } from './parse-arguments.js';
import { reportError } from './report-error.js';
import { processTerminal } from './terminal.js';

const examples = [
  { line: 'bauta demo', does: 'See it work on this machine, without a network.' },
  { line: 'bauta proxy', does: 'Run a proxy; prints a link to use it with.' },
  { line: "bauta exec 'LINK' -- curl https://example.com", does: 'One command through the proxy.' },
  {
    line: "bauta client 'LINK'",
    does: 'SOCKS5 and HTTP proxy on 127.0.0.1:1080, for programs and browsers.',
  },
  {
    line: "bauta client 'LINK' --udp 5353=192.0.2.53:53",
    does: 'A local UDP port that leads to a name server.',
  },
  { line: "bauta doctor 'LINK'", does: 'What works from here, and why not.' },
];

/** The version in the package's own description; the file lies beside `dist`. */
function version(): string {
  const description: unknown = JSON.parse(
    readFileSync(new URL('../../../package.json', import.meta.url), 'utf8'),
  );
  return typeof description === 'object' && description !== null && 'version' in description
    ? String(description.version)
    : 'unknown';
}

/** Where the options are shown that somebody got wrong. */
function helpCommand(name: string | undefined): string {
  const known = commands.some((command) => command.table.name === name);
  return known ? `bauta ${name} --help` : 'bauta --help';
}

async function main(argv: readonly string[]): Promise<number> {
  // What follows belongs to the command that exec runs.
  const dashes = argv.indexOf('--');
  const own = dashes < 0 ? argv : argv.slice(0, dashes);
  const json = own.includes('--json');
  const terminal = processTerminal(json);
  const [name, ...rest] = argv;
  try {
    const overview = (): string =>
      overviewHelp(
        commands.map((command) => command.table),
        examples,
      ).trimEnd();
    if (name === undefined) {
      terminal.err(`bauta: no command was given\n\n${overview()}`);
      return 2;
    }
    if (name === '--help' || name === '-h' || name === 'help') {
      const asked = commands.find((command) => command.table.name === rest[0]);
      terminal.out(asked ? commandHelp(asked.table).trimEnd() : overview());
      return 0;
    }
    if (name === '--version' || name === '-V') {
      terminal.out(version());
      return 0;
    }
    const command = commands.find((candidate) => candidate.table.name === name);
    if (!command) {
      const near = closest(
        name,
        commands.map((candidate) => candidate.table.name),
      );
      throw usageError(
        name.startsWith('-') ? `unknown option ${name}` : `unknown command ${redactLinks(name)}`,
        near === undefined ? 'bauta --help' : `Did you mean bauta ${near}?`,
      );
    }
    if (own.includes('--help') || own.includes('-h')) {
      terminal.out(commandHelp(command.table).trimEnd());
      return 0;
    }
    return await command.run(rest, {
      environment: process.env,
      terminal,
      readInput: () => text(process.stdin),
    });
  } catch (error) {
    return reportError(error, terminal, json, helpCommand(name));
  }
}

// A reader that has gone (`bauta proxy | head`) is no reason to drop everybody's tunnels.
for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined);
process.exitCode = await main(process.argv.slice(2));

// Checks that imports between the rooms of src/ point downwards only.
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';

/** What each room may import besides itself. */
const allowed = {
  clock: [],
  protocol: [],
  tables: [],
  quic: ['clock', 'protocol', 'tables'],
  http: ['clock', 'protocol', 'tables', 'quic'],
  tunnel: ['clock', 'protocol', 'tables', 'quic', 'http'],
  upstream: ['clock', 'protocol', 'tables', 'quic', 'http', 'tunnel'],
  relay: ['clock', 'protocol', 'tables', 'quic', 'http', 'tunnel', 'upstream'],
  proxy: ['clock', 'protocol', 'tables', 'quic', 'http', 'tunnel', 'upstream', 'relay'],
  client: ['clock', 'protocol', 'tables', 'quic', 'http', 'tunnel', 'upstream'],
  ops: ['clock', 'protocol', 'tables', 'quic', 'http', 'tunnel', 'upstream', 'relay', 'proxy', 'client'],
  cli: [
    'clock',
    'protocol',
    'tables',
    'quic',
    'http',
    'tunnel',
    'upstream',
    'relay',
    'proxy',
    'client',
    'ops',
  ],
};

const source = 'src';
const faults = [];
for (const name of readdirSync(source, { recursive: true })) {
  if (!name.endsWith('.ts')) continue;
  const file = join(source, name);
  const room = name.split('/')[0];
  const may = allowed[room];
  if (!may) {
    faults.push(`${file}: no room of that name`);
    continue;
  }
  const text = readFileSync(file, 'utf8');
  for (const match of text.matchAll(/(?:from|import\()\s*'([^']+)'/g)) {
    const specifier = match[1];
    if (room === 'protocol' && specifier.startsWith('node:') && specifier !== 'node:buffer') {
      faults.push(`${file}: imports ${specifier}, but protocol is pure`);
    }
    if (!specifier.startsWith('.')) continue;
    const target = relative(source, resolve(dirname(file), specifier)).split('/')[0];
    if (target !== room && !may.includes(target)) faults.push(`${file}: ${room} must not import ${target}`);
  }
}
for (const fault of faults) console.error(fault);
if (faults.length > 0) process.exit(1);
console.log('imports point downwards');

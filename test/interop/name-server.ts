import { spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from '../free-port.js';
import { runProgram } from './program.js';

export function dig(port: number, ...args: string[]) {
  return runProgram('dig', ['@127.0.0.1', '-p', String(port), '+time=2', '+tries=2', ...args], 15_000);
}

/** dnsmasq on loopback: it answers for `bauta.test` and below with 192.0.2.7, and asks nobody else. */
export async function startNameServer(): Promise<{ port: number; stop: () => void }> {
  for (let attempt = 0; attempt < 5; attempt++) {
    const port = await freePort('udp');
    const child = spawn(
      'dnsmasq',
      [
        ...[
          '--keep-in-foreground',
          '--conf-file=/dev/null',
          '--no-resolv',
          '--no-hosts',
          '--user=',
          '--pid-file=',
        ],
        ...['--listen-address=127.0.0.1', '--bind-interfaces', `--port=${port}`],
        '--address=/bauta.test/192.0.2.7',
      ],
      { stdio: 'ignore', env: { ...process.env, PATH: `${process.env['PATH']}:/usr/sbin:/sbin` } },
    );
    let ended = false;
    child.once('exit', () => {
      ended = true;
    });
    for (let wait = 0; wait < 50 && !ended; wait++) {
      const answer = await dig(port, '+short', 'ready.bauta.test');
      if (answer.stdout.trim() === '192.0.2.7') return { port, stop: () => child.kill('SIGKILL') };
      await delay(100);
    }
    child.kill('SIGKILL');
  }
  throw new Error('dnsmasq did not start');
}

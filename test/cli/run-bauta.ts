import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../src/cli/main.js', import.meta.url));

export interface RunOptions {
  readonly environment?: Readonly<Record<string, string>>;
  readonly input?: string;
  /** Another `main.js`. */
  readonly main?: string;
}

export interface Finished {
  readonly exit: number | null;
  readonly out: string;
  readonly err: string;
}

/** A `bauta` process; killed with the test that started it. */
export interface BautaProcess extends AsyncDisposable {
  readonly child: ChildProcess;
  /** Standard output and error so far. */
  out(): string;
  err(): string;
  /** The first JSON object of standard output with this event; rejects when the process ends without. */
  event(name: string): Promise<Record<string, unknown>>;
  /** Resolves when standard output or error matches. */
  said(pattern: RegExp): Promise<void>;
  readonly finished: Promise<Finished>;
}

export function startBauta(args: readonly string[], options: RunOptions = {}): BautaProcess {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(process.execPath, [options.main ?? MAIN, ...args], {
    env: { PATH, HOME, ...options.environment },
    stdio: 'pipe',
  });
  let out = '';
  let err = '';
  let wake: () => void = () => undefined;
  let change = new Promise<void>((resolve) => {
    wake = resolve;
  });
  const changed = (): void => {
    wake();
    change = new Promise<void>((resolve) => {
      wake = resolve;
    });
  };
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
    changed();
  });
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text;
    changed();
  });
  child.stdin.end(options.input ?? '');
  let over = false;
  const finished = once(child, 'close').then(([exit]): Finished => {
    over = true;
    changed();
    return { exit: exit as number | null, out, err };
  });
  const until = async <T>(look: () => T | undefined): Promise<T> => {
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      if (over) throw new Error(`the process ended:\n${out}\n${err}`);
      await change;
    }
  };
  return {
    child,
    out: () => out,
    err: () => err,
    event: (name) =>
      until(() => {
        for (const line of out.split('\n').slice(0, -1)) {
          const object = JSON.parse(line) as Record<string, unknown>;
          if (object['event'] === name) return object;
        }
        return undefined;
      }),
    async said(pattern) {
      await until(() => (pattern.test(out) || pattern.test(err) ? true : undefined));
    },
    finished,
    async [Symbol.asyncDispose]() {
      if (!over) child.kill('SIGKILL');
      await finished;
    },
  };
}

/** How long a command may take that is expected to end, milliseconds. */
const PATIENCE = 30_000;

/** Runs to the end; one that does not come to it is killed. */
export async function runBauta(args: readonly string[], options: RunOptions = {}): Promise<Finished> {
  await using bauta = startBauta(args, options);
  const timer = setTimeout(() => bauta.child.kill('SIGKILL'), PATIENCE);
  try {
    return await bauta.finished;
  } finally {
    clearTimeout(timer);
  }
}

export interface TemporaryDirectory extends AsyncDisposable {
  readonly path: string;
  file(name: string): string;
}

export async function temporaryDirectory(): Promise<TemporaryDirectory> {
  const path = await mkdtemp(join(tmpdir(), 'bauta-test-'));
  return {
    path,
    file: (name) => join(path, name),
    [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }),
  };
}

/** A proxy process on 127.0.0.1 with the user `user`, password `secret`, that reaches this machine. */
export async function startProxyProcess(state: string, ...more: readonly string[]) {
  const bauta = startBauta([
    'proxy',
    '--listen',
    '127.0.0.1:0',
    '--state-dir',
    state,
    '--user',
    'user:secret',
    '--allow-target',
    '127.0.0.0/8',
    '--json',
    ...more,
  ]);
  const listening = await bauta.event('listening');
  const [first] = listening['addresses'] as { port: number }[];
  const bare = String(listening['link']);
  return {
    bauta,
    listening,
    port: first?.port ?? 0,
    bare,
    link: bare.replace('https://', 'https://user:secret@'),
  };
}

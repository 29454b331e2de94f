import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';

const project = fileURLToPath(new URL('../../', import.meta.url));

/** One line of masque-load: numbers by name, among other things. */
export type LoadResult = Readonly<Record<string, unknown>>;

/**
 * Where masque-load is: as said on the command line or in MASQUE_LOAD, else built from `shared/load` beside
 * the project. Throws with a sentence for the user.
 */
export function findLoadProgram(given: string | undefined): string {
  const named = given ?? process.env['MASQUE_LOAD'];
  if (named !== undefined) {
    if (existsSync(named)) return resolve(named);
    throw new Error(`there is no load generator at ${named}`);
  }
  const source = join(project, '../shared/load');
  if (!existsSync(join(source, 'Cargo.toml'))) {
    throw new Error('no load generator: name the masque-load program with --load PATH or MASQUE_LOAD');
  }
  const target = join(project, '.cache/load');
  const manifest = join(source, 'Cargo.toml');
  const built = spawnSync(
    'cargo',
    ['build', '--release', '--locked', '--quiet', '--manifest-path', manifest, '--target-dir', target],
    { stdio: ['ignore', 'inherit', 'inherit'] },
  );
  if (built.status !== 0) throw new Error('cargo could not build the load generator (its errors are above)');
  return join(target, 'release/masque-load');
}

/** Starts a server of masque-load (`target`, `forward`, `quic-echo-server`), which runs until it is killed. */
export function startLoadServer(program: string, args: readonly string[]): ChildProcess {
  return spawn(program, args, { stdio: ['ignore', 'ignore', 'inherit'] });
}

/** Runs masque-load once; rejects when it fails or takes longer than `seconds`. */
export function runLoad(program: string, args: readonly string[], seconds: number): Promise<LoadResult> {
  return new Promise((resolve, reject) => {
    const options = {
      timeout: Math.ceil(seconds * 1000),
      killSignal: 'SIGKILL',
      env: { ...process.env, RUST_BACKTRACE: '0' },
    } as const;
    execFile(program, [...args], options, (error, out, said) => {
      if (error) {
        const why = error.killed ? `took more than ${seconds} s` : said.trim() || error.message;
        reject(new Error(`masque-load ${args.join(' ')}: ${why}`));
      } else {
        resolve(JSON.parse(out) as LoadResult);
      }
    });
  });
}

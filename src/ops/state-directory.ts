import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readFile, rename, stat, unlink } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { BautaError } from '../protocol/bauta-error.js';

/** A directory that only its owner can read: keys and passwords live here. Names are plain file names. */
export interface StateDirectory {
  readonly path: string;
  /** Where a file of this name is. */
  file(name: string): string;
  /** The text of a file; undefined when there is none. Takes away what others may do with it. */
  read(name: string): Promise<string | undefined>;
  /** Replaces a file in one step, readable by its owner only. */
  write(name: string, text: string): Promise<void>;
  /** Takes a file away, where there is one. */
  remove(name: string): Promise<void>;
}

/** Where state is kept unless told otherwise: systemd's directory, XDG's, or `~/.local/state/bauta`. */
export function defaultStateDirectory(environment: NodeJS.ProcessEnv): string {
  const systemd = environment['STATE_DIRECTORY']?.split(':')[0];
  if (systemd) return systemd;
  const xdg = environment['XDG_STATE_HOME'];
  return xdg ? join(xdg, 'bauta') : join(homedir(), '.local', 'state', 'bauta');
}

function errno(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined;
}

function stateError(path: string, error: unknown): BautaError {
  const reason = errno(error) ?? (error instanceof Error ? error.message : String(error));
  return new BautaError('ERR_STATE_DIR', { detail: `${path}: ${reason}`, cause: error });
}

/** Takes away group's and others' permissions where there are any. */
async function makePrivate(path: string, mode: number): Promise<void> {
  const { mode: current } = await stat(path);
  if ((current & 0o077) !== 0) await chmod(path, mode);
}

/** Makes the directory (mode 0700) where it is missing. Throws `ERR_STATE_DIR`. */
export async function openStateDirectory(path: string): Promise<StateDirectory> {
  const root = resolve(path);
  try {
    await mkdir(root, { recursive: true, mode: 0o700 });
    await makePrivate(root, 0o700);
  } catch (error) {
    throw stateError(root, error);
  }
  const file = (name: string): string => join(root, name);
  return {
    path: root,
    file,
    async read(name) {
      try {
        const text = await readFile(file(name), 'utf8');
        await makePrivate(file(name), 0o600);
        return text;
      } catch (error) {
        if (errno(error) === 'ENOENT') return undefined;
        throw stateError(file(name), error);
      }
    },
    async write(name, text) {
      const temporary = file(`.${name}.${randomBytes(6).toString('hex')}`);
      try {
        const handle = await open(temporary, 'wx', 0o600);
        try {
          await handle.writeFile(text);
          await handle.sync();
        } finally {
          await handle.close();
        }
        await rename(temporary, file(name));
      } catch (error) {
        await unlink(temporary).catch(() => undefined);
        throw stateError(file(name), error);
      }
    },
    async remove(name) {
      try {
        await unlink(file(name));
      } catch (error) {
        if (errno(error) !== 'ENOENT') throw stateError(file(name), error);
      }
    },
  };
}

import { readFile } from 'node:fs/promises';
import { BautaError } from '../protocol/bauta-error.js';
import type { ErrorCode } from '../protocol/failures.js';
import type { HttpVersion } from '../protocol/reset-reason.js';
import { mostShards } from '../quic/native/index.js';
import type { DataPath } from '../tunnel/data-path.js';
import { usageError } from './parse-arguments.js';

/** Reads a number of seconds, fractions allowed, as milliseconds. Throws `ERR_USAGE`. */
export function readSeconds(option: string, text: string | undefined, byDefault: number): number {
  if (text === undefined) return byDefault;
  const seconds = Number(text);
  if (!/^\d+(\.\d+)?$/.test(text) || seconds > 86_400) {
    throw usageError(`--${option} ${text} is not a number of seconds up to 86400`);
  }
  return Math.round(seconds * 1_000);
}

/** Reads what moves payloads. Throws `ERR_USAGE`. */
export function readDataPath(text: string | undefined): DataPath {
  switch (text) {
    case undefined:
      return 'auto';
    case 'auto':
    case 'js':
    case 'splice':
      return text;
    default:
      throw usageError(`--data-path ${text} is not auto, js or splice`);
  }
}

/** Reads a number of threads. Throws `ERR_USAGE`. */
export function readShards(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const shards = Number(text);
  if (!/^\d+$/.test(text) || shards < 1 || shards > mostShards) {
    throw usageError(`--shards ${text} is not a number from 1 to ${mostShards}`);
  }
  return shards;
}

const versionsByNumber: Readonly<Record<string, HttpVersion>> = { '3': 'h3', '2': 'h2', '1': 'h1' };

/** Reads `3,2,1` or a part of it. Throws `ERR_USAGE`. */
export function readVersions(text: string | undefined): readonly HttpVersion[] {
  const versions: HttpVersion[] = [];
  for (const item of (text ?? '3,2,1').split(',')) {
    const version = versionsByNumber[item.trim()];
    if (!version)
      throw usageError(`--versions ${text} is not a list of 3, 2 and 1`, 'For example --versions 2,1');
    if (!versions.includes(version)) versions.push(version);
  }
  return versions;
}

/** Reads a file that an option names; throws an error of this code that says which. */
export async function readOptionFile(option: string, path: string, code: ErrorCode): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    const reason = error instanceof Error && 'code' in error ? String(error.code) : String(error);
    throw new BautaError(code, {
      detail: `--${option} ${path}: ${reason}`,
      hint: 'Check the path, and that this user may read the file.',
      cause: error,
    });
  }
}

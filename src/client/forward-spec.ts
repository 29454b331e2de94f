import { isIP } from 'node:net';
import { BautaError } from '../protocol/bauta-error.js';

/** Where to listen on this machine. */
export interface LocalSpec {
  /** Literal addresses to bind. */
  readonly addresses: readonly string[];
  /** 0 is any free one. */
  readonly port: number;
  /** True where only this machine can reach it. */
  readonly loopback: boolean;
}

/** One `LOCAL=TARGET`: where to listen on this machine, and what it stands for. */
export interface ForwardSpec extends LocalSpec {
  /** As it was written: `HOST:PORT`. */
  readonly target: string;
}

export function isLoopback(address: string): boolean {
  return address === '::1' || (isIP(address) === 4 && address.startsWith('127.'));
}

function localAddresses(host: string, text: string): readonly string[] {
  if (host === '') return ['127.0.0.1'];
  if (host === 'localhost') return ['127.0.0.1', '::1'];
  if (host === '*') return ['::'];
  if (isIP(host) === 0) {
    throw new BautaError('ERR_USAGE', { detail: `${text}: ${host} is not an address of this machine` });
  }
  return [host];
}

function readLocal(local: string, text: string): LocalSpec | undefined {
  const match = /^(?:(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):)?(\d{1,5})$/.exec(local);
  if (!match || Number(match[3]) > 65_535) return undefined;
  const addresses = localAddresses(match[1] ?? match[2] ?? '', text);
  return { addresses, port: Number(match[3]), loopback: addresses.every(isLoopback) };
}

/**
 * Reads `[HOST:]PORT`; HOST is a literal address, `localhost` for 127.0.0.1 and ::1, or `*` for all, and
 * 127.0.0.1 where it is left out. Throws `ERR_USAGE`.
 */
export function parseLocal(text: string): LocalSpec {
  const local = readLocal(text, text);
  if (local) return local;
  throw new BautaError('ERR_USAGE', {
    detail: `${text} is not [HOST:]PORT`,
    hint: 'For example 1080, localhost:1080 or [::1]:1080',
  });
}

/** Reads `LOCAL=TARGET`; see `parseLocal` for what stands before the equals sign. Throws `ERR_USAGE`. */
export function parseForward(text: string): ForwardSpec {
  const equals = text.indexOf('=');
  const local = readLocal(text.slice(0, Math.max(0, equals)), text);
  const target = text.slice(equals + 1);
  if (!local || target === '') {
    throw new BautaError('ERR_USAGE', {
      detail: `${text} is not LOCAL=TARGET`,
      hint: 'For example --udp 5353=192.0.2.53:53, or --tcp [::1]:8080=a.example:80',
    });
  }
  return { ...local, target };
}

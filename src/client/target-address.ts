import { type AddressInfo, isIP } from 'node:net';
import type { ResponseHead } from '../http/request.js';
import { BautaError } from '../protocol/bauta-error.js';
import { fieldValues } from '../protocol/fields.js';
import { nextHopOf } from '../protocol/proxy-status.js';
import { makeTarget, type Target as ParsedTarget, parseTarget } from '../protocol/target.js';
import type { Target } from './client.js';

/** A target as a program gives it. Throws `ERR_TARGET_SYNTAX`. */
export function readTarget(target: Target): ParsedTarget {
  return typeof target === 'string' ? parseTarget(target) : makeTarget(target.host, target.port);
}

function dialled(head: ResponseHead): ParsedTarget | undefined {
  const text = nextHopOf(fieldValues(head.fields, 'proxy-status').join(', '));
  if (text === undefined) return undefined;
  try {
    return parseTarget(text);
  } catch (error) {
    if (error instanceof BautaError) return undefined;
    throw error;
  }
}

/** The target's address as the proxy's Proxy-Status tells it (RFC 9209 section 2.1.2), else as it was asked for. */
export function targetAddress(target: ParsedTarget, head: ResponseHead): AddressInfo {
  const { host, port } = dialled(head) ?? target;
  const family = isIP(host);
  return { address: host, port, family: family === 0 ? '' : `IPv${family}` };
}

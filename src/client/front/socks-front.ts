import { BautaError } from '../../protocol/bauta-error.js';
import { failures } from '../../protocol/failures.js';
import {
  MAX_SOCKS5_MESSAGE,
  readSocks5Greeting,
  readSocks5Login,
  readSocks5Request,
  SOCKS_VERSION,
  type Socks5Address,
  type Socks5Read,
  socks4Refusal,
  socks5Choice,
  socks5LoginAnswer,
  socks5Methods,
  socks5Replies,
  socks5Reply,
} from '../../protocol/socks5.js';
import { makeTarget } from '../../protocol/target.js';
import { dialError } from '../dial-failure.js';
import type { AppConnection } from './app-connection.js';
import { carryTcp, type FrontContext } from './carry-tcp.js';
import { isLocalUser, type LocalUser } from './local-user.js';
import { type AssociationOffice, associateUdp } from './socks-associate.js';

export interface SocksContext extends FrontContext {
  /** Who may use it; undefined for everybody who can connect. */
  readonly user: LocalUser | undefined;
  readonly associations: AssociationOffice;
}

/** The first version of SOCKS that people still meet. */
export const SOCKS4 = 4;

/** To an app that takes this port for an HTTP proxy, and shows people the content at best. */
const HTTP_TEXT = 'This is a SOCKS5 proxy, not an HTTP proxy: use socks5h://\n';
const HTTP_REFUSAL = Buffer.from(
  `HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: ${HTTP_TEXT.length}\r\n\r\n${HTTP_TEXT}`,
);

/** Methods of HTTP begin with one. */
function isLetter(byte: number | undefined): boolean {
  return byte !== undefined && byte >= 0x41 && byte <= 0x5a;
}

function malformed(detail: string): BautaError {
  return new BautaError('ERR_REQUEST_MALFORMED', { detail });
}

/** Takes the next message off the connection, waiting for all of it. */
async function next<T>(
  app: AppConnection,
  read: (bytes: Uint8Array, start: number, end: number) => Socks5Read<T>,
): Promise<T> {
  for (;;) {
    const result = read(app.unread, 0, app.unread.length);
    if (result.kind === 'malformed') throw malformed(result.detail);
    if (result.kind === 'message') {
      app.take(result.end);
      return result.message;
    }
    await app.more(MAX_SOCKS5_MESSAGE);
  }
}

/** Agrees on a method and checks the login; true when the app may go on. */
async function admit(app: AppConnection, user: LocalUser | undefined): Promise<boolean> {
  const offered = await next(app, readSocks5Greeting);
  const { none, password, noneAcceptable } = socks5Methods;
  const wanted = user ? [password] : [none, password];
  const method = wanted.find((candidate) => offered.includes(candidate)) ?? noneAcceptable;
  app.write(socks5Choice(method));
  if (method === none) return true;
  if (method === noneAcceptable) return false;
  const login = await next(app, readSocks5Login);
  // An app that insists on a login where none is asked for may have any.
  const accepted = !user || isLocalUser(user, login);
  app.write(socks5LoginAnswer(accepted));
  return accepted;
}

async function answerRequest(app: AppConnection, context: SocksContext): Promise<void> {
  const { command, address } = await next(app, readSocks5Request);
  if (command === undefined || command === 'bind') {
    const detail = command === 'bind' ? 'the command BIND' : 'an unknown command';
    refuse(app, context, detail, socks5Reply(socks5Replies.commandNotSupported));
    return;
  }
  if (!address) {
    refuse(app, context, 'an unknown type of address', socks5Reply(socks5Replies.addressNotSupported));
    return;
  }
  if (command === 'udp-associate') await associateUdp(app, address, context);
  else
    await carryTcp(app, targetOf(address), context, () => ({ answer: socks5Reply(socks5Replies.succeeded) }));
}

function targetOf({ host, port }: Socks5Address): { readonly host: string; readonly port: number } {
  const target = makeTarget(host, port);
  return { host: target.host, port: target.port };
}

/** Tells why, and ends the connection after the answer. */
function refuse(app: AppConnection, context: FrontContext, detail: string, answer?: Uint8Array): void {
  context.event({ type: 'app-refused', app: app.remoteAddress, detail });
  if (answer) app.write(answer);
  app.hangUp();
}

/**
 * Serves SOCKS5 (RFC 1928, with the login of RFC 1929) to one app whose first byte has come: CONNECT and UDP ASSOCIATE. Names are resolved
 * by the proxy. Failures are answered with the reply that the error table has for them.
 */
export async function serveSocks(app: AppConnection, context: SocksContext): Promise<void> {
  let asked = false;
  try {
    if (app.unread[0] === SOCKS4) {
      refuse(app, context, 'SOCKS4: set the app to SOCKS5 (socks5h://)', socks4Refusal());
      return;
    }
    if (isLetter(app.unread[0])) {
      refuse(app, context, 'HTTP: set the app to a SOCKS5 proxy (socks5h://), or use --mixed', HTTP_REFUSAL);
      return;
    }
    if (app.unread[0] !== SOCKS_VERSION) throw malformed(`version ${app.unread[0]}`);
    if (!(await admit(app, context.user))) {
      refuse(app, context, 'no valid user and password');
      return;
    }
    asked = true;
    await answerRequest(app, context);
  } catch (thrown) {
    if (app.over.aborted) return;
    const error = dialError(thrown);
    if (asked) app.write(socks5Reply(failures[error.code].socks));
    if (isMistake(error))
      context.event({ type: 'app-refused', app: app.remoteAddress, detail: error.message });
    app.hangUp();
  }
}

/** What is told here, because no tunnel was asked for. */
function isMistake({ code }: BautaError): boolean {
  return code === 'ERR_REQUEST_MALFORMED' || code === 'ERR_TARGET_SYNTAX' || code === 'ERR_INTERNAL';
}

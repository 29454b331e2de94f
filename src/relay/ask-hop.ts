import { setMaxListeners } from 'node:events';
import type { Clock, Timer } from '../clock/clock.js';
import type { RequestHead, ResponseHead } from '../http/request.js';
import type { TunnelStream } from '../http/tunnel-stream.js';
import { BautaError } from '../protocol/bauta-error.js';
import type { ResetReason } from '../protocol/reset-reason.js';
import { errorOfOutcome } from '../tunnel/response-error.js';
import { bautaErrorOf } from '../upstream/bauta-error-of.js';
import type { Owner } from '../upstream/owner.js';
import type { AcquiredStream, Session, SessionEnd } from '../upstream/session.js';
import { failureKind } from '../upstream/upstream-error.js';
import type { Doubts } from './doubts.js';
import type { HopAnswer } from './hop-answer.js';

/** Opens a stream on a pooled connection to the hop, and tells which. */
export type OpenHopStream = (head: RequestHead, session: Session, signal: AbortSignal) => Promise<Owner>;

/** What asking a hop needs. */
export interface HopParts {
  readonly clock: Clock;
  readonly open: OpenHopStream;
  readonly doubts: Doubts;
}

/** What a tunnel of some kind makes of the stream to the hop; made anew for each attempt. */
export interface HopLink<Far> extends Omit<Session, 'gone' | 'attach' | 'response' | 'closed'> {
  /** The stream, before any event of it. */
  attach(stream: TunnelStream): void;
  /** The request is on its way: what may go before the answer may go. Told once or more. */
  sent?(): void;
  /** The hop agrees. Throws `MalformedMessageError` where its answer cannot be one to such a request. */
  accept(answer: ResponseHead): Far;
  /** Nobody wants the stream any more; nothing is told afterwards. */
  abandon(reason: ResetReason): void;
  closed(end: SessionEnd): void;
}

/** What a link tells of its attempt. */
export interface HopAttempt {
  /** The hop's direction ended; true where that was in place of an answer, and the attempt is over. */
  ended(): boolean;
}

/** Requests that were certainly not processed are sent again so often. */
const TRIES = 3;

/** True where the hop has promised nothing: its connection died or refused the request unprocessed. */
function unprocessed(error: unknown): boolean {
  const kind = failureKind(error);
  return kind === 'peer_closed' || kind === 'stopped' || kind === 'draining' || kind === 'stream_limit';
}

/** The signal of all sessions here: they go by their own doing alone. */
const never = new AbortController().signal;
setMaxListeners(0, never);

type Asked<Far> = HopAnswer<Far> | { readonly kind: 'again'; readonly error: BautaError };

/**
 * Asks a hop for a tunnel, again on another connection where one turns out to be dead before the answer. Aborting
 * the signal before the answer cancels the request; afterwards it does nothing. Never rejects.
 */
export async function askHop<Far>(
  parts: HopParts,
  head: RequestHead,
  makeLink: (attempt: HopAttempt) => HopLink<Far>,
  signal: AbortSignal,
): Promise<HopAnswer<Far>> {
  for (let tries = 1; ; tries++) {
    const asked = await askOnce(parts, head, makeLink, signal);
    if (asked.kind !== 'again') return asked;
    if (tries >= TRIES || signal.aborted) return { kind: 'failed', error: asked.error };
  }
}

function askOnce<Far>(
  { clock, open, doubts }: HopParts,
  head: RequestHead,
  makeLink: (attempt: HopAttempt) => HopLink<Far>,
  signal: AbortSignal,
): Promise<Asked<Far>> {
  return new Promise((resolve) => {
    let asking = true;
    let acquired: AcquiredStream | undefined;
    let doubting: Timer | undefined;

    const settle = (asked: Asked<Far>): void => {
      asking = false;
      signal.removeEventListener('abort', aborted);
      clock.clearTimeout(doubting);
      resolve(asked);
    };
    const giveUp = (asked: Asked<Far>, reason: ResetReason): void => {
      if (!asking) return;
      // Before the link is abandoned, which may tell of the stream's end in this very call.
      asking = false;
      link.abandon(reason);
      settle(asked);
    };
    const fail = (error: BautaError, reason: ResetReason): void => giveUp({ kind: 'failed', error }, reason);
    const aborted = (): void => fail(new BautaError('ERR_ABORTED'), 'cancelled');

    /** Asks on another connection once this one turns out to be dead. */
    const doubt = async (owner: Owner, factor: number): Promise<void> => {
      const patience = await doubts.patience(owner);
      if (!asking) return;
      doubting = clock.setTimeout(async () => {
        const alive = await doubts.alive(owner);
        if (asking && alive) void doubt(owner, factor * 2);
        else giveUp({ kind: 'again', error: new BautaError('ERR_PROXY_TIMEOUT') }, 'cancelled');
      }, patience * factor);
    };

    const link = makeLink({
      ended() {
        if (!asking) return false;
        fail(new BautaError('ERR_PROXY_PROTOCOL', { detail: 'the answer is missing' }), 'message-error');
        return true;
      },
    });

    const response = (answer: ResponseHead): void => {
      const { connection } = acquired ?? {};
      if (!asking || !connection) return;
      if (answer.status < 200 || answer.status > 299) {
        giveUp({ kind: 'refused', head: answer, connection }, 'cancelled');
        return;
      }
      try {
        settle({ kind: 'open', far: link.accept(answer), head: answer, connection });
      } catch (cause) {
        fail(new BautaError('ERR_PROXY_PROTOCOL', { status: answer.status, cause }), 'message-error');
      }
    };
    const closed = (end: SessionEnd): void => {
      link.closed(end);
      if (!asking) return;
      const refused = end.kind === 'reset' && end.by === 'peer' && end.reason === 'refused';
      const error = errorOfOutcome(end);
      settle(refused || end.kind === 'lost' ? { kind: 'again', error } : { kind: 'failed', error });
    };

    const session: Session = {
      ...link,
      gone: never,
      attach(given) {
        acquired = given;
        link.attach(given.stream);
        // One that waits for the hop's leave takes nothing yet.
        if (given.id >= 0) link.sent?.();
      },
      response,
      closed,
    };
    signal.addEventListener('abort', aborted, { once: true });
    if (signal.aborted) {
      aborted();
      return;
    }
    open(head, session, signal).then(
      (owner) => {
        if (!asking) return;
        link.sent?.();
        // HTTP/1.1 has a fresh connection for each tunnel, and no PING.
        if (owner.version !== 'h1') void doubt(owner, 1);
      },
      (thrown: unknown) => {
        if (!asking) return;
        const error = bautaErrorOf(thrown);
        giveUp(unprocessed(thrown) ? { kind: 'again', error } : { kind: 'failed', error }, 'cancelled');
      },
    );
  });
}

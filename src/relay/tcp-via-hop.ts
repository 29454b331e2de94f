import type { RequestHead } from '../http/request.js';
import { checkCapsuleResponse } from '../protocol/capsule-message.js';
import type { ByteSide, ByteSideHandler } from '../tunnel/tcp/byte-side.js';
import { bindByteStream } from '../tunnel/tcp/byte-stream.js';
import type { TcpForm } from '../tunnel/tcp/tcp-form.js';
import { askHop, type HopAttempt, type HopLink, type HopParts } from './ask-hop.js';
import type { HopAnswer } from './hop-answer.js';

/**
 * Carries a TCP tunnel to a next hop as a request of its own in the form that `head` has. Aborting the signal before
 * the answer cancels the request; afterwards it does nothing. Never rejects.
 */
export function openTcpViaHop(
  parts: HopParts,
  head: RequestHead,
  form: TcpForm,
  handler: ByteSideHandler,
  signal: AbortSignal,
): Promise<HopAnswer<ByteSide>> {
  return askHop(parts, head, (attempt) => tcpLink(form, attempt, handler), signal);
}

function tcpLink(form: TcpForm, attempt: HopAttempt, handler: ByteSideHandler): HopLink<ByteSide> {
  /** Another attempt may follow until the hop has agreed: its ends are nobody's business. */
  let accepted = false;
  const binding = bindByteStream(form, {
    data: (bytes, start, end) => handler.data(bytes, start, end),
    end: () => handler.end(),
    drain: () => handler.drain(),
    closed(how) {
      if (accepted) handler.closed(how);
    },
  });
  return {
    ...binding.streamHandler,
    attach: (stream) => binding.attach(stream),
    end() {
      if (!attempt.ended()) binding.streamHandler.end();
    },
    accept(answer) {
      if (form.kind === 'connect-tcp') checkCapsuleResponse(answer);
      accepted = true;
      return binding.side;
    },
    abandon: (reason) => binding.side.reset(reason),
    closed: (end) => binding.streamHandler.closed(end),
  };
}

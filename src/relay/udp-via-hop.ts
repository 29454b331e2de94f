import type { Clock, Timer } from '../clock/clock.js';
import { createDatagramStream, eventsOf } from '../http/create-datagram-stream.js';
import type { DatagramStreamBinding } from '../http/datagram-stream.js';
import type { RequestHead } from '../http/request.js';
import { checkCapsuleResponse } from '../protocol/capsule-message.js';
import { reasonBehind, type SideEnd, sideEndOf } from '../tunnel/side-end.js';
import { CONTEXT_ZERO, MAX_UDP_PAYLOAD, payloadStart } from '../tunnel/udp/context.js';
import { MOST_FORWARDED_CAPSULE, type UdpFarHandler, type UdpFarSide } from '../tunnel/udp/far-side.js';
import { askHop, type HopAttempt, type HopLink, type HopParts } from './ask-hop.js';
import type { HopAnswer } from './hop-answer.js';

/** How long the hop may leave its side open once this side has ended, milliseconds. */
const LINGER = 2_000;

/**
 * Carries a UDP tunnel to a next hop as a CONNECT-UDP request of its own (RFC 9298 section 3). Payloads are
 * sent as soon as the stream is there and before the hop has answered, so that a chain costs no round trip
 * more than its path. Aborting the signal before the answer cancels the request; afterwards it does nothing.
 * Never rejects.
 */
export function openUdpViaHop(
  parts: HopParts,
  head: RequestHead,
  handler: UdpFarHandler,
  signal: AbortSignal,
): Promise<HopAnswer<UdpFarSide>> {
  return askHop(parts, head, (attempt) => udpLink(parts.clock, attempt, handler), signal);
}

function udpLink(clock: Clock, attempt: HopAttempt, handler: UdpFarHandler): HopLink<UdpFarSide> {
  let phase: 'asking' | 'answered' | 'open' | 'over' = 'asking';
  /** An end between the hop's answer and the client's. */
  let early: SideEnd | undefined;
  let hopEnded = false;
  let linger: Timer | undefined;

  /** The hop's side is over. */
  const over = (how: SideEnd): void => {
    if (phase === 'answered') early ??= how;
    if (phase !== 'open') return;
    phase = 'over';
    handler.over(how);
  };

  const binding: DatagramStreamBinding = createDatagramStream({
    datagram(bytes, start, end) {
      const from = payloadStart(bytes, start, end);
      // RFC 9298 section 4: a datagram with an unknown context id is dropped; none was agreed on with the hop.
      if (from < 0) {
        if (phase === 'open') handler.noPayload();
        return;
      }
      if (end - from > MAX_UDP_PAYLOAD) {
        // RFC 9298 section 5: an endpoint that receives one MUST abort the stream.
        binding.datagrams.reset('datagram-error');
        over({ kind: 'reset', reason: 'datagram-error' });
        return;
      }
      if (phase === 'open') handler.packet(bytes, from, end, undefined);
    },
    otherCapsules: () => MOST_FORWARDED_CAPSULE,
    capsule(type, value) {
      if (phase === 'open' && !handler.capsule(type, value)) binding.datagrams.holdBack(true);
    },
    drain: () => handler.drain(),
    end() {
      hopEnded = true;
      if (attempt.ended()) return;
      if (phase !== 'over') binding.datagrams.end();
      over({ kind: 'ended' });
    },
    closed: () => clock.clearTimeout(linger),
  });

  const far: UdpFarSide = {
    send(bytes, start, end) {
      if (phase === 'over') return 'dropped';
      return binding.datagrams.sendDatagram(CONTEXT_ZERO, bytes, start, end);
    },
    spliceEnd: () => (phase === 'open' ? binding.datagrams.datagramEnd() : undefined),
    capsule: (type, value) => phase === 'over' || binding.datagrams.sendCapsule(type, value),
    drain: () => binding.datagrams.holdBack(false),
    start() {
      if (phase !== 'answered') return;
      phase = 'open';
      binding.start();
      if (early) over(early);
    },
    close(how) {
      if (phase === 'over') return;
      const ended = how.kind === 'ended' && phase !== 'asking';
      phase = 'over';
      if (!ended) {
        binding.datagrams.reset(how.kind === 'ended' ? 'cancelled' : reasonBehind(how));
        return;
      }
      // The end may close the stream in this very call.
      if (!hopEnded) linger = clock.setTimeout(() => binding.datagrams.reset('cancelled'), LINGER);
      binding.datagrams.end();
    },
  };

  return {
    ...eventsOf(binding),
    attach: (stream) => binding.attach(stream),
    sent: () => handler.early(far),
    accept(answer) {
      checkCapsuleResponse(answer);
      phase = 'answered';
      return far;
    },
    abandon(reason) {
      phase = 'over';
      binding.datagrams.reset(reason);
    },
    closed(end) {
      binding.streamHandler.closed(end);
      if (phase === 'asking') phase = 'over';
      else over(sideEndOf(end));
    },
  };
}

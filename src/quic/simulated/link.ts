import type { Random } from './random.js';
import type { Scheduler } from './scheduler.js';

/** What the network does to packets. All can be changed while it runs. */
export interface LinkConditions {
  /** One way, milliseconds. */
  latency: number;
  /** Added to the latency, evenly distributed from 0 to this; milliseconds. */
  jitter: number;
  /** Probability that a packet is lost. Stream data is sent again and only comes later. */
  loss: number;
  /** Probability that a packet comes later than those sent after it. */
  reorder: number;
  /** Largest UDP payload, bytes; larger packets vanish. */
  mtu: number;
  /** Bytes a second that one connection can send each way; undefined is without limit. */
  bandwidth: number | undefined;
}

/** Frames of one lane arrive in the order in which they were sent, each exactly once. */
export interface Lane {
  readonly waiting: (() => void)[];
}

export const createLane = (): Lane => ({ waiting: [] });

export interface Link {
  readonly conditions: LinkConditions;
  /** A packet that may be lost; true if it was sent on its way. */
  sendLossy(from: string, to: string, size: number, deliver: () => void): boolean;
  /** A frame that is sent again until it arrives. Returns how many packets were lost under way. */
  sendReliable(from: string, to: string, lane: Lane, deliver: () => void): number;
  /** Everything from and to this host vanishes, without a word to anybody. */
  cut(host: string): void;
  /** The host is back; what is sent again arrives now. */
  restore(host: string): void;
  isCut(from: string, to: string): boolean;
}

const shortestRetransmission = 20;

export function createLink(scheduler: Scheduler, random: Random, conditions: LinkConditions): Link {
  const cutHosts = new Set<string>();
  const held: { from: string; to: string; lane: Lane }[] = [];

  const isCut = (from: string, to: string): boolean => cutHosts.has(from) || cutHosts.has(to);
  const delay = (): number => {
    let time = conditions.latency;
    if (conditions.jitter > 0) time += conditions.jitter * random();
    if (conditions.reorder > 0 && random() < conditions.reorder) {
      time += Math.max(conditions.latency, 1) * (1 + random());
    }
    return time;
  };
  const arrive = (from: string, to: string, lane: Lane): void => {
    if (isCut(from, to)) held.push({ from, to, lane });
    else lane.waiting.shift()?.();
  };

  return {
    conditions,
    isCut,
    sendLossy(from, to, size, deliver) {
      if (size > conditions.mtu) return false;
      if (conditions.loss > 0 && random() < conditions.loss) return false;
      scheduler.after(delay(), () => {
        if (!isCut(from, to)) deliver();
      });
      return true;
    },
    sendReliable(from, to, lane, deliver) {
      let time = delay();
      let lost = 0;
      while (conditions.loss > 0 && lost < 16 && random() < conditions.loss) {
        time += Math.max(2 * conditions.latency, shortestRetransmission);
        lost += 1;
      }
      // An arrival delivers the lane's oldest frame, whichever it was sent for: that keeps the order.
      lane.waiting.push(deliver);
      scheduler.after(time, () => arrive(from, to, lane));
      return lost;
    },
    cut(host) {
      cutHosts.add(host);
    },
    restore(host) {
      cutHosts.delete(host);
      for (const { from, to, lane } of held.splice(0)) {
        scheduler.after(conditions.latency, () => arrive(from, to, lane));
      }
    },
  };
}

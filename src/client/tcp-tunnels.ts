import type { Clock } from '../clock/clock.js';
import { type ByteDuplex, type ByteDuplexBinding, createByteDuplex } from '../tunnel/tcp/byte-duplex.js';
import type { ByteSideHandler } from '../tunnel/tcp/byte-side.js';
import type { OpenTcpTunnel } from '../tunnel/tcp/open-tcp.js';
import type { OpenOptions, OpenTcpOptions, Target } from './client.js';
import type { OpenTunnel, OpenTunnels } from './open-tunnels.js';
import { createReplayedSide } from './replayed-side.js';
import { readTarget } from './target-address.js';
import type { TcpOpening } from './tcp-opening.js';
import { type TcpTunnel, tcpTunnelOf } from './tcp-tunnel.js';
import { type TunnelOwner, tunnelEndOf } from './tunnel-end.js';

export interface TcpTunnels {
  openTcp(target: Target, options?: OpenTcpOptions): Promise<TcpTunnel>;
  /**
   * As `openTcp`, without copies, and not started: it may be spliced. The handler may be told of an end just before
   * this resolves; bytes come once it is started and they are granted.
   */
  openRawTcp(target: Target, handler: ByteSideHandler, options?: OpenOptions): Promise<OpenTcpTunnel>;
  /**
   * As `openTcp`, and gives the stream at once: what is written goes ahead of the proxy's answer where it may.
   * Only for bytes that do no harm when the target receives them twice. The stream is destroyed with the error
   * that `opened` rejects with; destroying it ends the opening.
   */
  openTcpAhead(
    target: Target,
    options?: Omit<OpenTcpOptions, 'signal'>,
  ): { readonly stream: ByteDuplex; readonly opened: Promise<TcpTunnel> };
}

export interface TcpTunnelsOptions {
  readonly opening: TcpOpening;
  readonly tunnels: OpenTunnels;
  readonly clock: Clock;
  /** Aborts when the client is closed. */
  readonly closing: AbortSignal;
}

/** The TCP tunnels of a client. */
export function createTcpTunnels({ opening, tunnels, clock, closing }: TcpTunnelsOptions): TcpTunnels {
  /** `ahead` tells the tunnel that is asked for, as soon as there is one; then it is not attached here. */
  const open = async (
    target: Target,
    { duplex, handler, attach }: ByteDuplexBinding,
    hold: HoldSwitch,
    options: OpenTcpOptions,
    ahead?: (tunnel: OpenTcpTunnel) => void,
  ): Promise<TcpTunnel> => {
    const parsed = readTarget(target);
    duplex.allowHalfOpen = options.allowHalfOpen ?? false;
    const { tunnel, head } = await opening.open(parsed, handler, options, ahead);
    const entry: OpenTunnel = {
      end() {
        duplex.destroy();
      },
    };
    const place = tunnels.addPublic(entry);
    hold.to = place;
    if (!hold.held) place.hold(false);
    const outcome = tunnel.closed.then((how) => {
      hold.to = undefined;
      place.remove();
      return tunnelEndOf(how, closing.aborted);
    });
    if (ahead) ahead(tunnel);
    else attach(tunnel);
    tunnel.start();
    return tcpTunnelOf(duplex, parsed, head, outcome);
  };

  return {
    async openRawTcp(target, handler, options = {}) {
      const { tunnel } = await opening.open(readTarget(target), handler, options);
      // An end in the middle of a byte stream would be taken for its true end.
      tunnels.addRaw({ end: () => tunnel.reset('cancelled') }, tunnel.closed);
      return tunnel;
    },
    async openTcp(target, options = {}) {
      const hold = holdSwitch();
      return open(target, createByteDuplex({ clock, holdProcess: hold.set }), hold, options);
    },
    openTcpAhead(target, options = {}) {
      const hold = holdSwitch();
      const binding = createByteDuplex({ clock, holdProcess: hold.set });
      const given = new AbortController();
      const replayed = createReplayedSide(
        () => given.abort(),
        () => binding.handler.drain(),
      );
      binding.attach(replayed.side);
      let asked: OpenTcpTunnel | undefined;
      const ahead = (tunnel: OpenTcpTunnel): void => {
        if (tunnel !== asked) replayed.ask(tunnel);
        asked = tunnel;
      };
      const opened = open(target, binding, hold, { ...options, signal: given.signal }, ahead).then(
        (tunnel) => {
          replayed.answered();
          return tunnel;
        },
        (error: unknown) => {
          binding.duplex.destroy(error instanceof Error ? error : undefined);
          throw error;
        },
      );
      opened.catch(() => undefined);
      return { stream: binding.duplex, opened };
    },
  };
}

/** What a tunnel's `ref` and `unref` say, also before it is open. */
interface HoldSwitch {
  held: boolean;
  to: TunnelOwner | undefined;
  readonly set: (held: boolean) => void;
}

function holdSwitch(): HoldSwitch {
  const hold: HoldSwitch = {
    held: true,
    to: undefined,
    set(held) {
      hold.held = held;
      hold.to?.hold(held);
    },
  };
  return hold;
}

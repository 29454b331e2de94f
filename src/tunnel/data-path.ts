/**
 * What moves a tunnel's payloads once it is open: always JavaScript; the engine from the first one on; or (`auto`)
 * the engine for UDP tunnels that carry more than a short exchange. UDP to its target is the engine's over any
 * version, but for HTTP/3 without QUIC datagrams and for servers that are Node's own; on to a next hop only where both
 * sides have QUIC datagrams; and of a local forward where a port can have a socket for each peer (Linux). A TCP tunnel
 * to its target, over any version, one that comes and goes on over HTTP/3, and that of an app of a local front-end are
 * the engine's from the start with `auto` too.
 */
export type DataPath = 'auto' | 'js' | 'splice';

/** Payloads that an exchange of a few packets has, a DNS answer say: handing those over would cost more than it saves. */
const SHORT_EXCHANGE = 16;

/** How many payloads JavaScript carries first. */
export const spliceAfter: Record<DataPath, number> = {
  auto: SHORT_EXCHANGE,
  js: Number.POSITIVE_INFINITY,
  splice: 0,
};

import { createSocket } from 'node:dgram';
import { after } from 'node:test';

export interface SlowNameServer {
  /** `127.0.0.1:PORT`. */
  readonly address: string;
  /** Queries that came so far. */
  readonly queries: number;
}

/** The question's name and the offset behind it (RFC 1035 section 4.1.2). */
function question(query: Buffer): { name: string; type: number; end: number } {
  const labels: string[] = [];
  let at = 12;
  for (let length = query[at] ?? 0; length > 0; length = query[at] ?? 0) {
    labels.push(query.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.'), type: query.readUInt16BE(at + 1), end: at + 5 };
}

/** An answer of 127.0.0.1 for A, and of no address for any other type. */
function answerTo(query: Buffer): Buffer {
  const { type, end } = question(query);
  const head = Buffer.from(query.subarray(0, 12));
  const found = type === 1;
  head.writeUInt16BE(0x8180, 2);
  head.writeUInt16BE(1, 4);
  head.writeUInt16BE(found ? 1 : 0, 6);
  head.writeUInt32BE(0, 8);
  const record = Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, 127, 0, 0, 1]);
  return Buffer.concat([head, query.subarray(12, end), ...(found ? [record] : [])]);
}

/** A name server that answers `*.slow.test` after `delay` milliseconds, `*.silent.test` never, others at once. */
export async function startSlowNameServer(delay: number): Promise<SlowNameServer> {
  const socket = createSocket('udp4');
  const timers = new Set<NodeJS.Timeout>();
  let queries = 0;
  socket.on('message', (query, from) => {
    queries++;
    const { name } = question(query);
    if (name.endsWith('.silent.test')) return;
    const answer = (): void => socket.send(answerTo(query), from.port, from.address);
    if (!name.endsWith('.slow.test')) return answer();
    const timer = setTimeout(() => {
      timers.delete(timer);
      answer();
    }, delay);
    timers.add(timer);
  });
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  after(() => {
    for (const timer of timers) clearTimeout(timer);
    socket.close();
  });
  return {
    address: `127.0.0.1:${socket.address().port}`,
    get queries() {
      return queries;
    },
  };
}

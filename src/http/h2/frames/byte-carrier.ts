import type { TcpSocket, TcpSocketHandler } from '../../../quic/tcp-socket.js';

/** What an HTTP/2 connection can be carried by: bytes both ways, as a `TcpSocket` has them. */
export type ByteCarrier = Pick<TcpSocket, 'buffered' | 'grant' | 'write' | 'end' | 'reset'>;

/** What a carrier tells, as a `TcpSocket` does. */
export type ByteCarrierHandler = TcpSocketHandler;

/**
 * `bauta/upstream`: connections to next hops, shared by tunnels. An owner holds one HTTP/3 or HTTP/2 connection
 * and opens each tunnel as a stream on it; a pool finds or opens owners; a racer chooses the HTTP version.
 * All times are milliseconds.
 */
export type { Clock, RandomBytes, Timer } from '../clock/clock.js';
export { systemClock, systemRandom } from '../clock/system-clock.js';
export type {
  ConnectionClose,
  HttpClientConnection,
  HttpClientConnectionHandler,
  PeerSettings,
} from '../http/connection.js';
export type { RequestHead, ResponseHead } from '../http/request.js';
export type { ClientStreamHandler, LossReason, StreamOutcome, TunnelStream } from '../http/tunnel-stream.js';
export type { HttpVersion, ResetReason } from '../protocol/reset-reason.js';
export type { QuicEngine } from '../quic/engine.js';
export { createNativeEngine } from '../quic/native/index.js';
export { adoptConnection } from './adopt-connection.js';
export type { BackoffTimes } from './backoff.js';
export { bautaErrorOf } from './bauta-error-of.js';
export type { MaxStreams } from './capacity.js';
export type { Checkout, CheckoutOptions } from './checkout.js';
export { type DialOptions, type DialResult, dialOwner } from './dial-owner.js';
export { createFingerprint, type Fingerprint } from './fingerprint.js';
export type { HealthCheckTimes } from './health-check.js';
export { createHttpDriver, type HttpDriverOptions, type ResolveName } from './http-driver.js';
export { createHttpTransport, type HttpTransport } from './http-transport.js';
export type { AcquireOptions, Owner, OwnerEvents, OwnerInfo, OwnerOptions, Reservation } from './owner.js';
export { createPool, type Pool, type PoolOptions } from './pool.js';
export type { PoolEvent, PoolLimits, PoolParts } from './pool-settings.js';
export type { KeyStats, PoolMetric } from './pool-stats.js';
export {
  createRacer,
  type RaceAttempt,
  type RaceOptions,
  type Racer,
  type RacerOptions,
  type RaceWin,
} from './racer.js';
export type { AcquiredStream, Session, SessionEnd } from './session.js';
export { type StreamOpener, streamOpener } from './stream-opener.js';
export type { UpstreamOrigin, UpstreamTarget, UpstreamTls } from './target.js';
export type {
  StreamContent,
  TransportConnection,
  TransportDriver,
  TransportEvents,
  TransportStatistics,
  TransportStream,
} from './transport.js';
export type { TunnelNeeds } from './tunnel-needs.js';
export {
  type FailedAttempt,
  failureKind,
  type MissingAbility,
  UpstreamError,
  type UpstreamFailure,
  type UpstreamFailureKind,
} from './upstream-error.js';
export type { RememberedFailure } from './version-memory.js';

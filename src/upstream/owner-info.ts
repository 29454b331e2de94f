import type { Owner, OwnerInfo } from './owner.js';

type OwnFigures = Pick<OwnerInfo, 'waitingToOpen' | 'maxStreams' | 'idle' | 'age' | 'datagramsRouted'>;

/** How an owner stands, with what its transport knows; a transport that fails to tell is left out. */
export async function ownerInfo(owner: Owner, own: OwnFigures): Promise<OwnerInfo> {
  const { connection } = owner;
  const base: OwnerInfo = {
    fingerprint: owner.fingerprint,
    transport: owner.version,
    connection: connection.id,
    remoteAddress: connection.remoteAddress,
    state: owner.state,
    streams: owner.streams,
    ...own,
  };
  try {
    return { ...base, ...(await connection.statistics()) };
  } catch {
    return base;
  }
}

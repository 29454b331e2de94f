/**
 * The revisions of draft-ietf-httpbis-connect-tcp that change what is on the wire. A new one is a new row.
 */
export interface ConnectTcpRevision {
  /** The upgrade token: `:protocol`, and `Upgrade` in HTTP/1.1. */
  readonly token: string;
  /** Capsule types of DATA and FINAL_DATA; undefined while none are assigned for the token. */
  readonly capsules: ConnectTcpCapsules | undefined;
}

export interface ConnectTcpCapsules {
  readonly data: number;
  readonly finalData: number;
}

/** Newest first; the first one is sent unless another is asked for. */
export const connectTcpRevisions = [
  /** The editor's copy after draft -11. */
  { token: 'connect-tcp-12', capsules: { data: 0x2028d7f2, finalData: 0x2028d7f3 } },
  /** Drafts -08 to -11. */
  { token: 'connect-tcp-07', capsules: { data: 0x2028d7f0, finalData: 0x2028d7f1 } },
  /** What will be registered. Its capsule types are not assigned yet. */
  { token: 'connect-tcp', capsules: undefined },
] as const satisfies readonly ConnectTcpRevision[];

/** The revision that is sent by default. */
export const newestConnectTcp: ConnectTcpRevision = connectTcpRevisions[0];

/** The newest capsule types that are known: what is sent for a token that has none of its own yet. */
export const newestConnectTcpCapsules: ConnectTcpCapsules = connectTcpRevisions[0].capsules;

/** The revision of an upgrade token, whose case does not matter (RFC 9110 section 7.8); undefined for others. */
export function connectTcpRevisionOf(token: string): ConnectTcpRevision | undefined {
  const lower = token.toLowerCase();
  return connectTcpRevisions.find((revision) => revision.token === lower);
}

/** What a capsule type says of TCP bytes, whatever the revision; undefined for any other capsule. */
export function connectTcpCapsule(type: number): 'data' | 'final-data' | undefined {
  for (const { capsules } of connectTcpRevisions) {
    if (type === capsules?.data) return 'data';
    if (type === capsules?.finalData) return 'final-data';
  }
  return undefined;
}

/** The capsules of the revision that has a capsule of this type. */
export function connectTcpCapsulesWith(type: number): ConnectTcpCapsules | undefined {
  for (const { capsules } of connectTcpRevisions) {
    if (type === capsules?.data || type === capsules?.finalData) return capsules;
  }
  return undefined;
}

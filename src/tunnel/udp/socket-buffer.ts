/**
 * Kernel buffer of a socket at an end of a tunnel, each way, bytes: the system's default holds fewer than a hundred
 * packets of full size, and a burst of somebody who is near loses the rest.
 */
export const SOCKET_BUFFER = 1024 * 1024;

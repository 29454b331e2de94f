export { interleaveFamilies, type ResolveHost, resolveHost } from '../upstream/resolve-host.js';

export type { ProxyAccess } from '../upstream/proxy-access.js';

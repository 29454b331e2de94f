import { overTls } from './secure-world.js';
import { tcpClosing, tcpConformance } from './tcp-conformance.js';
import { nativeWorld } from './tcp-world.js';

tcpConformance('TLS of the native engine', () => overTls(nativeWorld()));
tcpClosing('TLS of the native engine', () => overTls(nativeWorld()));

import { overTls } from './secure-world.js';
import { tcpClosing, tcpConformance } from './tcp-conformance.js';
import { simulatedWorld } from './tcp-world.js';

tcpConformance('secure sockets of the simulated network', () => overTls(simulatedWorld()));
tcpClosing('secure sockets of the simulated network', () => overTls(simulatedWorld()));

import { tcpClosing, tcpConformance } from './tcp-conformance.js';
import { nativeWorld } from './tcp-world.js';

tcpConformance('the native engine on 127.0.0.1', () => nativeWorld('127.0.0.1'));
tcpConformance('the native engine on ::1', () => nativeWorld('::1'));
tcpClosing('the native engine', () => nativeWorld());

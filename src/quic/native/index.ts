export { selfSigned, spkiPin } from './certificate.js';
export { createNativeEngine, mostShards, type NativeEngineOptions } from './create-native-engine.js';
export { defaultShards } from './default-shards.js';

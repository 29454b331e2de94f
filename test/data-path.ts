import { type DataPath, spliceAfter } from '../src/tunnel/data-path.js';

const chosen = process.env['BAUTA_TEST_DATA_PATH'];
if (chosen !== undefined && !Object.hasOwn(spliceAfter, chosen)) {
  throw new Error(`BAUTA_TEST_DATA_PATH is ${chosen}`);
}

/** What the proxies of tests move payloads with: every suite has to pass on each path. */
export const dataPath = (chosen ?? 'auto') as DataPath;

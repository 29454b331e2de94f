// Makes the built command executable, and `node_modules/.bin/bauta` lead to it in this checkout.
import { chmodSync, mkdirSync, rmSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';

const main = join('dist', 'src', 'cli', 'main.js');
chmodSync(main, 0o755);
if (process.platform !== 'win32') {
  const folder = join('node_modules', '.bin');
  mkdirSync(folder, { recursive: true });
  rmSync(join(folder, 'bauta'), { force: true });
  symlinkSync(join('..', '..', main), join(folder, 'bauta'));
}

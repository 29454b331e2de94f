// Builds the native engine and puts it where the loader of src/quic/native looks for it.
import { spawnSync } from 'node:child_process';
import { copyFileSync, renameSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const native = join(dirname(fileURLToPath(import.meta.url)), '..', 'native');
const built = { linux: 'libbauta_native.so', darwin: 'libbauta_native.dylib', win32: 'bauta_native.dll' };
const library = built[process.platform];

function fail(message) {
  process.stderr.write(`build-native: ${message}\n`);
  process.exit(1);
}

if (library === undefined) fail(`the engine is not known to build on ${process.platform}`);

const cargo = spawnSync('cargo', ['build', '--release', '--locked'], { cwd: native, stdio: 'inherit' });
if (cargo.error?.code === 'ENOENT') {
  fail('cargo is not in the path; the engine needs Rust 1.88 or newer (https://rustup.rs)');
}
if (cargo.error) fail(cargo.error.message);
if (cargo.status !== 0) fail(`cargo ended with ${cargo.signal ?? cargo.status}`);

const target = process.env.CARGO_TARGET_DIR ?? join(native, 'target');
const file = join(native, `bauta.${process.platform}-${process.arch}.node`);
// A process may have the old file open: a new one takes its place.
copyFileSync(join(target, 'release', library), `${file}.new`);
renameSync(`${file}.new`, file);

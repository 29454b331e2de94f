/* Runs the benchmarks of src/upstream one after the other; see ../README.md. Arguments go to the first. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

const programs: readonly (readonly [name: string, args: readonly string[]])[] = [
  ['set-up-latency.js', process.argv.slice(2)],
  ['owner-cost.js', []],
  ['pool-cost.js', []],
];
for (const [name, args] of programs) {
  const script = fileURLToPath(new URL(name, import.meta.url));
  console.log(`\n${name}`);
  const child = spawn(process.execPath, ['--expose-gc', script, ...args], { stdio: 'inherit' });
  const [code] = await once(child, 'exit');
  if (code !== 0) process.exitCode = 1;
}

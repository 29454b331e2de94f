// `npm ci` builds here. `npx bauta` in this checkout puts a link to it into its own cache and runs this too:
// there is nothing to do then, and a proxy may be running out of these files.
import { execSync } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';

const built =
  existsSync('dist/src/cli/main.js') && readdirSync('native').some((name) => name.endsWith('.node'));
if (process.env.npm_command !== 'exec' || !built) execSync('npm run build', { stdio: 'inherit' });

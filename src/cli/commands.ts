import { benchTable } from './bench-options.js';
import { clientTable } from './client-options.js';
import { type Command, command } from './command.js';
import { completionTable } from './completion-options.js';
import { demoTable } from './demo-options.js';
import { doctorTable } from './doctor/doctor-options.js';
import { execTable } from './exec-options.js';
import { proxyTable } from './proxy-options.js';

/** All commands, in the order of the overview. */
export const commands: readonly Command[] = [
  command(proxyTable, async () => (await import('./proxy-command.js')).runProxy),
  command(clientTable, async () => (await import('./client-command.js')).runClient),
  command(execTable, async () => (await import('./exec-command.js')).runExec),
  command(doctorTable, async () => (await import('./doctor/doctor-command.js')).runDoctor),
  command(benchTable, async () => (await import('./bench-command.js')).runBench),
  command(demoTable, async () => (await import('./demo-command.js')).runDemo),
  command(completionTable, async () => {
    const { runCompletion } = await import('./completion-command.js');
    return runCompletion(commands.map(({ table }) => table));
  }),
];

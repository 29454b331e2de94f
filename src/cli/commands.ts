import { benchCommand } from './bench-command.js';
import { clientCommand } from './client-command.js';
import type { Command } from './command.js';
import { completionCommand } from './completion-command.js';
import { demoCommand } from './demo-command.js';
import { doctorCommand } from './doctor/doctor-command.js';
import { execCommand } from './exec-command.js';
import { proxyCommand } from './proxy-command.js';

/** All commands, in the order of the overview. */
export const commands: readonly Command[] = [
  proxyCommand,
  clientCommand,
  execCommand,
  doctorCommand,
  benchCommand,
  demoCommand,
  completionCommand(() => commands.map((command) => command.table)),
];

import { readFileSync } from 'node:fs';
import type { StateDirectory } from './state-directory.js';

const FILE = 'pid';

/** This process as the one whose state it is. */
export interface StateOwner {
  /** A process that runs and uses the directory too; undefined where there is none. */
  readonly other: number | undefined;
  /** Takes the mark away where it is still that of this process. */
  leave(): Promise<void>;
}

/** When a process began, in the kernel's ticks: a number that is given again belongs to another process. */
function beganAt(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // proc_pid_stat(5): the name, in parentheses, may have spaces; starttime is field 22, state field 3.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19] ?? '';
  } catch {
    return '';
  }
}

function runs(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}

/**
 * Marks the directory as used by this process, and tells who used it before and still runs. What a process left
 * behind that is gone counts for nothing.
 */
export async function ownState(directory: StateDirectory): Promise<StateOwner> {
  const [before = '', began = ''] = ((await directory.read(FILE)) ?? '').trim().split(' ');
  const pid = Number(before);
  const valid = /^[1-9]\d{0,9}$/.test(before) && pid !== process.pid;
  const other = valid && runs(pid) && beganAt(pid) === began ? pid : undefined;
  const mark = `${process.pid} ${beganAt(process.pid)}\n`;
  await directory.write(FILE, mark);
  return {
    other,
    async leave() {
      if ((await directory.read(FILE)) === mark) await directory.remove(FILE);
    },
  };
}

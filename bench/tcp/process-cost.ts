import { readFileSync } from 'node:fs';

/** Ticks of the kernel's accounting a second, on every Linux that Node runs on. */
const TICKS = 100;

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return undefined;
  }
}

/** CPU seconds that a process and the children it has now have used, all threads together; 0 where it is gone. */
export function processSeconds(pid: number): number {
  const text = read(`/proc/${pid}/stat`);
  if (text === undefined) return 0;
  // The name, in brackets, may hold anything.
  const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
  let seconds = (Number(fields[11]) + Number(fields[12])) / TICKS;
  const children = read(`/proc/${pid}/task/${pid}/children`)?.trim() ?? '';
  for (const child of children.split(' ')) if (child !== '') seconds += processSeconds(Number(child));
  return seconds;
}

/** CPU seconds that the machine has been busy, and those that its host took away. */
export function machineSeconds(): number {
  const [first = ''] = readFileSync('/proc/stat', 'latin1').split('\n');
  const [user, nice, system, , , interrupts, soft, steal] = first.trim().split(/ +/).slice(1).map(Number);
  return (
    [user, nice, system, interrupts, soft, steal].reduce<number>((sum, ticks) => sum + (ticks ?? 0), 0) /
    TICKS
  );
}

/** KiB of memory that a process has in use. */
export function residentKib(pid: number): number {
  const text = readFileSync(`/proc/${pid}/status`, 'latin1');
  return Number(/^VmRSS:\s+(\d+)/m.exec(text)?.[1]);
}

/** KiB of memory in the kernel's TCP buffers, of the whole machine. */
export function tcpBufferKib(): number {
  const text = readFileSync('/proc/net/sockstat', 'latin1');
  return Number(/^TCP:.* mem (\d+)/m.exec(text)?.[1]) * 4;
}

import { Worker } from 'node:worker_threads';
import { koffi } from './native-calls.js';

const prSetPdeathsig = 1;
const sigkill = 9;

/**
 * Makes this process end when its parent does, however the parent ends and whatever plugin code is doing at that time:
 * on Linux the kernel sends SIGKILL; elsewhere a thread of its own watches, since plugin code may hold every other.
 */
export function endWithParent(parentPid: number): void {
  if (process.platform === 'linux') {
    const prctl = koffi
      .load(null)
      .func('int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)');
    prctl(prSetPdeathsig, sigkill, 0, 0, 0);
  } else {
    new Worker(
      `setInterval(() => { if (process.ppid !== ${Number(parentPid)}) process.kill(process.pid, 'SIGKILL'); }, 500);`,
      { eval: true },
    ).unref();
  }
  // It may have ended before this line.
  if (process.ppid !== parentPid) process.kill(process.pid, 'SIGKILL');
}

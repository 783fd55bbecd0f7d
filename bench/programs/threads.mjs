// CPU and wake-ups of each thread of this process, from Linux's /proc. Elsewhere there are none.
import { existsSync, readdirSync, readFileSync } from 'node:fs';

const tasks = '/proc/self/task';

/** @returns {{ id: number, isMain: boolean, cpuSeconds: number, wakeUps: number }[]} since each thread began */
export function threadUsage() {
  if (!existsSync(tasks)) return [];
  return readdirSync(tasks).flatMap((id) => {
    try {
      // Nanoseconds on a CPU are the first field of schedstat.
      const [cpuNs] = readFileSync(`${tasks}/${id}/schedstat`, 'utf8').split(' ');
      const status = readFileSync(`${tasks}/${id}/status`, 'utf8');
      // A thread that gave up its CPU of its own will has been woken up once since.
      const [, switches] = /^voluntary_ctxt_switches:\s*(\d+)/m.exec(status) ?? [];
      return [
        {
          id: Number(id),
          isMain: Number(id) === process.pid,
          cpuSeconds: Number(cpuNs) / 1e9,
          wakeUps: Number(switches),
        },
      ];
    } catch {
      // The thread ended while its files were read.
      return [];
    }
  });
}

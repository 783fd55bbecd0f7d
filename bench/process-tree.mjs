// What processes and everything that they started use, by Linux's /proc.
import { readdirSync, readFileSync } from 'node:fs';

/** Clock ticks of the kernel's accounts, which are the same on every architecture that Linux runs on today. */
const ticksPerSecond = 100;

function statOf(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The name, in parentheses, may hold anything.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return {
    parent: Number(fields[1]),
    cpuSeconds: (Number(fields[11]) + Number(fields[12])) / ticksPerSecond,
  };
}

const kbOf = (text, name) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text)?.[1] ?? 0);

/** CPU and parent of `roots` and of all that they started. */
function treeOf(roots) {
  const stats = new Map();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      stats.set(Number(name), statOf(name));
    } catch {
      // It ended meanwhile.
    }
  }
  const isInTree = (pid) => roots.includes(pid) || (stats.has(pid) && isInTree(stats.get(pid).parent));
  return new Map([...stats].filter(([pid]) => isInTree(pid)));
}

/**
 * Cheap: what `usageOfTree` reads of each process's memory takes milliseconds.
 *
 * @param {number[]} roots
 * @returns {number[]}
 */
export const pidsOfTree = (roots) => [...treeOf(roots).keys()];

/**
 * @param {number[]} roots
 * @returns {{ processes: number, pids: number[], rssMb: number, pssMb: number, cpuSeconds: number }} `pssMb` counts a page that n processes share as
 *   1/n in each; CPU is that of processes which are there
 */
export function usageOfTree(roots) {
  const usage = { processes: 0, pids: [], rssMb: 0, pssMb: 0, cpuSeconds: 0 };
  for (const [pid, { cpuSeconds }] of treeOf(roots)) {
    try {
      const memory = readFileSync(`/proc/${pid}/smaps_rollup`, 'utf8');
      usage.rssMb += kbOf(memory, 'Rss') / 1_024;
      usage.pssMb += kbOf(memory, 'Pss') / 1_024;
    } catch {
      // It ended meanwhile; its CPU was spent all the same.
    }
    usage.processes += 1;
    usage.pids.push(pid);
    usage.cpuSeconds += cpuSeconds;
  }
  return usage;
}

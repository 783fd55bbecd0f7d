import type { LogLevel } from '../logging/index.js';

const levels: readonly LogLevel[] = ['error', 'warn', 'info', 'debug', 'trace'];

/** What is wrong with OFFHOOK_LOG, if anything is. */
export function logLevelProblem(): string | undefined {
  const wanted = process.env.OFFHOOK_LOG;
  if (!wanted || levels.some((level) => level === wanted)) return undefined;
  return `OFFHOOK_LOG is none of ${levels.join(', ')}: ${JSON.stringify(wanted)}; warn is used`;
}

/** Least severe level that the engine writes to standard error itself: OFFHOOK_LOG, default `warn`. */
export function standardErrorLevel(): LogLevel {
  const wanted = process.env.OFFHOOK_LOG;
  return levels.find((level) => level === wanted) ?? 'warn';
}

/** Whether a record of `level` is shown when `threshold` is the least severe level shown. */
export function isShown(level: LogLevel, threshold: LogLevel): boolean {
  return levels.indexOf(level) <= levels.indexOf(threshold);
}

import { asLogLevel, type LogLevel, logLevels } from '../logging/index.js';

/** What is wrong with OFFHOOK_LOG, if anything is. */
export function logLevelProblem(): string | undefined {
  const wanted = process.env.OFFHOOK_LOG;
  if (!wanted || asLogLevel(wanted)) return undefined;
  return `OFFHOOK_LOG is none of ${logLevels.join(', ')}: ${JSON.stringify(wanted)}; warn is used`;
}

/** Least severe level that the engine writes to standard error itself: OFFHOOK_LOG, default `warn`. */
export function standardErrorLevel(): LogLevel {
  return asLogLevel(process.env.OFFHOOK_LOG) ?? 'warn';
}

import { accessSync, constants } from 'node:fs';
import { asLogLevel, type LogLevel, logLevels, makeFolder } from '../logging/index.js';

/** What is wrong with OFFHOOK_LOG, if anything is. */
function logLevelProblem(): string | undefined {
  const wanted = process.env.OFFHOOK_LOG;
  if (!wanted || asLogLevel(wanted)) return undefined;
  return `OFFHOOK_LOG is ${JSON.stringify(wanted)}, not one of ${logLevels.join(', ')}; warn is used`;
}

/** Least severe level that the engine writes to standard error itself: OFFHOOK_LOG, default `warn`. */
export function standardErrorLevel(): LogLevel {
  return asLogLevel(process.env.OFFHOOK_LOG) ?? 'warn';
}

/** What is wrong with OFFHOOK_TIMELINE, if anything is. */
function timelineProblem(folder: string | undefined): string | undefined {
  if (!folder) return undefined;
  try {
    makeFolder(folder);
    accessSync(folder, constants.W_OK);
    return undefined;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return `OFFHOOK_TIMELINE is not a folder that can be written to (${why}); no timelines are kept`;
  }
}

/** Said once: processes that are started from here find the variable as it works. */
function checkVariable(name: string, problem: string | undefined): void {
  if (problem === undefined) return;
  process.stderr.write(`offhook: ${problem}\n`);
  delete process.env[name];
}

/** Reports once, on standard error, which of the engine's variables cannot be used, and goes on without them. */
export function checkEnvironment(): void {
  checkVariable('OFFHOOK_LOG', logLevelProblem());
  checkVariable('OFFHOOK_TIMELINE', timelineProblem(process.env.OFFHOOK_TIMELINE));
}

import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';
import { isShown } from '../logging/index.js';
import { logLevelProblem, standardErrorLevel } from './log-level.js';

/*
 * Puts this process, and every process that it starts, on offhook's engine: `node --import offhook/register agent.js`.
 * `@livekit/rtc-ffi-bindings` loads what this variable names instead of its native library.
 */
process.env.NAPI_RS_NATIVE_LIBRARY_PATH = fileURLToPath(new URL('native-entry.cjs', import.meta.url));

/** What is wrong with OFFHOOK_TIMELINE, if anything is. */
function timelineProblem(folder: string | undefined): string | undefined {
  if (!folder) return undefined;
  try {
    // Node's recursive mkdir never returns where the file system refuses a folder whose parent is there (/proc).
    if (!existsSync(folder)) mkdirSync(folder, { recursive: !existsSync(dirname(folder)) });
    accessSync(folder, constants.W_OK);
    return undefined;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return `OFFHOOK_TIMELINE is no folder that can be written to (${why}); no timelines are kept`;
  }
}

/** Said once: processes that are started from here find the variable as it works. */
function checkVariable(name: string, problem: string | undefined): void {
  if (problem === undefined) return;
  process.stderr.write(`offhook: ${problem}\n`);
  delete process.env[name];
}

if (isMainThread) {
  checkVariable('OFFHOOK_LOG', logLevelProblem());
  checkVariable('OFFHOOK_TIMELINE', timelineProblem(process.env.OFFHOOK_TIMELINE));
  if (isShown('info', standardErrorLevel())) {
    const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };
    process.stderr.write(
      `offhook ${version}: LiveKit programs of process ${process.pid} run on the offhook engine\n`,
    );
  }
}

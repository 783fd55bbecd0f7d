import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';
import { isShown } from '../logging/index.js';
import { checkEnvironment, standardErrorLevel } from './environment.js';

/*
 * Puts this process, and every process that it starts, on offhook's engine: `node --import offhook/register agent.js`.
 * `@livekit/rtc-ffi-bindings` loads what this variable names instead of its native library.
 */
process.env.NAPI_RS_NATIVE_LIBRARY_PATH = fileURLToPath(new URL('native-entry.cjs', import.meta.url));

if (isMainThread) {
  checkEnvironment();
  if (isShown('info', standardErrorLevel())) {
    const { version } = createRequire(import.meta.url)('../../package.json') as { version: string };
    process.stderr.write(
      `offhook ${version}: LiveKit programs of process ${process.pid} run on the offhook engine\n`,
    );
  }
}

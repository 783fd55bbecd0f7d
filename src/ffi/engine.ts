import { workerData } from 'node:worker_threads';
import type { Answer, EngineThreadData } from './wire.js';

/*
 * Where the engine thread begins. What keeps the engine from starting (a file that is missing, an addon that does not
 * load) is told to the program, which waits for an answer and would wait in vain.
 */
try {
  await import('./engine-loop.js');
} catch (error) {
  const { answers, answered } = workerData as EngineThreadData;
  const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
  const failure: Answer = { id: 'start', error: `offhook's engine could not start: ${reason}` };
  answers.postMessage(failure);
  const count = new Int32Array(answered);
  Atomics.add(count, 0, 1);
  Atomics.notify(count, 0);
}

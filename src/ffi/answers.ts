import { workerData } from 'node:worker_threads';
import type { Answer, EngineThreadData } from './wire.js';

const { answers, answered } = workerData as EngineThreadData;
const answerCount = new Int32Array(answered);

/** Hands an answer to the program's thread, which sleeps until there is one. */
export function answer(message: Answer): void {
  answers.postMessage(message);
  Atomics.add(answerCount, 0, 1);
  Atomics.notify(answerCount, 0);
}

import type { Answer, EngineClient } from './wire.js';

/** Hands an answer to a program's thread, which sleeps until there is one. */
export function answer({ answers, answered }: EngineClient, message: Answer): void {
  const count = new Int32Array(answered);
  answers.postMessage(message);
  Atomics.add(count, 0, 1);
  Atomics.notify(count, 0);
}

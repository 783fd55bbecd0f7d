import { answer } from './answers.js';

/*
 * Where the engine thread begins. What keeps the engine from starting (a file that is missing, an addon that does not
 * load) is told to the program, which waits for an answer and would wait in vain.
 */
try {
  await import('./engine-loop.js');
} catch (error) {
  const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
  answer({ id: 'start', error: `offhook's engine could not start: ${reason}` });
}

import { type MessagePort, workerData } from 'node:worker_threads';
import { answer } from './answers.js';
import type { EngineClient } from './wire.js';

/*
 * Where the engine thread begins. It serves each client that it is sent. What keeps the engine from starting (a file that
 * is missing, say) is the answer to a client that waits for one, and ends the thread for those that wait for an event.
 */
let serve: (client: EngineClient) => void;
try {
  ({ serve } = await import('./engine-loop.js'));
} catch (error) {
  const reason = error instanceof Error ? (error.stack ?? error.message) : String(error);
  serve = (client) => {
    answer(client, { id: 'start', error: `offhook's engine could not start: ${reason}` });
    throw error;
  };
}
(workerData as MessagePort).on('message', serve);

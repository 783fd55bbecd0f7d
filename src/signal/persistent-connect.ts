import { connect, type Socket } from 'node:net';
import { established } from './socket-events.js';

/** When further attempts begin. The system would repeat a lost SYN after 1 s, and then after 3 s. */
const furtherAtMs = [400, 900, 1_500, 2_200];

/**
 * Connects to an address; while nothing answers, further connections are begun beside the first. The first one that comes
 * up wins, the others are destroyed.
 *
 * @throws what the first one that ends fails with, or the reason of `signal`
 */
export async function connectPersistently(
  endpoint: { host: string; port: number },
  signal: AbortSignal,
): Promise<Socket> {
  const over = new AbortController();
  const abort = () => over.abort(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  const timers: NodeJS.Timeout[] = [];
  try {
    return await new Promise<Socket>((resolve, reject) => {
      let isWon = false;
      const attempt = () => {
        established(connect({ ...endpoint, noDelay: true }), 'connect', over.signal).then((socket) => {
          if (isWon) socket.destroy();
          isWon = true;
          resolve(socket);
        }, reject);
      };
      attempt();
      for (const delayMs of furtherAtMs) timers.push(setTimeout(attempt, delayMs));
    });
  } finally {
    signal.removeEventListener('abort', abort);
    for (const timer of timers) clearTimeout(timer);
    over.abort(new Error('connected already'));
  }
}

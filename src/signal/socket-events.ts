import type { Socket } from 'node:net';

/**
 * Awaits the event that says that a socket is connected. When it fails or `signal` aborts, the socket is destroyed.
 *
 * @throws the error of the socket
 */
export function established<S extends Socket>(socket: S, event: string, signal: AbortSignal): Promise<S> {
  return new Promise((resolve, reject) => {
    const abort = () => socket.destroy(signal.reason);
    const fail = (error: Error) => {
      signal.removeEventListener('abort', abort);
      reject(error);
    };
    signal.addEventListener('abort', abort, { once: true });
    socket.once('error', fail);
    socket.once(event, () => {
      signal.removeEventListener('abort', abort);
      socket.off('error', fail);
      resolve(socket);
    });
  });
}

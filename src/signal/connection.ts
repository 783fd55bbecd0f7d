import net from 'node:net';
import tls from 'node:tls';
import { type Deadlines, runStage, type Timeline } from '../timeline/index.js';
import { unreachable } from './network-error.js';
import { hostOf, isSecure, portOf } from './server-url.js';

export interface ConnectionOptions {
  timeline: Timeline;
  deadlines: Deadlines;
  signal: AbortSignal;
  /** Which of several URLs this is for, from 1. */
  attempt: number;
}

function established<S extends net.Socket>(socket: S, event: string, signal: AbortSignal): Promise<S> {
  return new Promise((resolve, reject) => {
    const abort = () => socket.destroy();
    signal.addEventListener('abort', abort, { once: true });
    socket.once('error', reject);
    socket.once(event, () => {
      signal.removeEventListener('abort', abort);
      socket.off('error', reject);
      resolve(socket);
    });
  });
}

/** A connection to the server of `url`, encrypted where the URL says so. Nothing is left of it when it fails. */
export async function openConnection(url: URL, options: ConnectionOptions): Promise<net.Socket> {
  const { timeline, deadlines, signal, attempt } = options;
  const host = hostOf(url);
  const hostname = url.hostname.replace(/^\[|\]$/g, '');
  const tcp = await runStage(
    timeline,
    { stage: 'tcp', host, attempt, timeoutMs: deadlines.tcp, signal, what: `TCP to ${host}` },
    async (abort, span) => {
      const socket = net.connect({ host: hostname, port: portOf(url), noDelay: true });
      await established(socket, 'connect', abort).catch((error) => {
        throw unreachable(error, { stage: 'tcp', host });
      });
      span.set({ address: `${socket.remoteAddress}:${socket.remotePort}/tcp` });
      return socket;
    },
  );
  if (!isSecure(url)) return tcp;
  return runStage(
    timeline,
    { stage: 'tls', host, attempt, timeoutMs: deadlines.tls, signal, what: `TLS with ${host}` },
    async (abort) => {
      const secure = tls.connect({
        socket: tcp,
        servername: net.isIP(hostname) ? '' : hostname,
        ALPNProtocols: ['http/1.1'],
      });
      return established(secure, 'secureConnect', abort).catch((error) => {
        tcp.destroy();
        throw unreachable(error, { stage: 'tls', host });
      });
    },
  );
}

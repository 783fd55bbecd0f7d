import { isIP, type Socket } from 'node:net';
import { connect, type TLSSocket } from 'node:tls';
import { OffhookError } from '../errors/index.js';
import { runStage } from '../timeline/index.js';
import { certificateProblem } from './certificate-error.js';
import { type ConnectionOptions, stageTimeoutMs } from './connection-options.js';
import { unreachable } from './network-error.js';
import { hostnameOf, hostOf } from './server-url.js';
import { established } from './socket-events.js';

function explain(error: unknown, host: string): OffhookError {
  const certificate = certificateProblem(error);
  if (certificate) {
    return new OffhookError('OFFHOOK_CERTIFICATE', `${host} cannot be trusted: ${certificate.says}`, {
      stage: 'tls',
      host,
      advice: certificate.advice,
      cause: error,
    });
  }
  if ((error as { code?: string }).code === 'ERR_SSL_WRONG_VERSION_NUMBER') {
    return new OffhookError('OFFHOOK_UNREACHABLE', `${host} answers, but does not speak TLS`, {
      stage: 'tls',
      host,
      advice: 'Use ws:// in place of wss://, or the port on which the server speaks TLS.',
      cause: error,
    });
  }
  return unreachable(error, { stage: 'tls', host });
}

/** Encrypts a connection to the server of `url`, whose certificate is verified. On failure the connection is destroyed. */
export async function openTls(connection: Socket, url: URL, options: ConnectionOptions): Promise<TLSSocket> {
  const host = hostOf(url);
  const hostname = hostnameOf(url);
  try {
    return await runStage(
      options.timeline,
      {
        stage: 'tls',
        host,
        attempt: options.attempt,
        timeoutMs: stageTimeoutMs(options, 'tls'),
        signal: options.signal,
        what: `TLS with ${host}`,
        advice:
          'The port accepts connections and sends nothing: check that it speaks TLS, and check firewalls that inspect traffic.',
      },
      async (signal, span) => {
        const socket = connect({
          socket: connection,
          servername: isIP(hostname) ? undefined : hostname,
          host: hostname,
          ca: options.ca,
          ALPNProtocols: ['http/1.1'],
        });
        try {
          await established(socket, 'secureConnect', signal);
        } catch (error) {
          throw explain(error, host);
        }
        span.set({ detail: socket.getProtocol() ?? undefined });
        return socket;
      },
    );
  } catch (error) {
    connection.destroy();
    throw error;
  }
}

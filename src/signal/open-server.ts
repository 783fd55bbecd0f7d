import type { Socket } from 'node:net';
import { runStage } from '../timeline/index.js';
import { openConnection } from './connection.js';
import { type ConnectionOptions, stageTimeoutMs } from './connection-options.js';
import { awaitFirstAnswer, type FirstAnswer } from './first-answer.js';
import { httpGet } from './http-get.js';
import { type JoinQueryOptions, joinQuery } from './join-query.js';
import { explainRefusal } from './refusal.js';
import { endpointOf, hostOf, httpEndpointOf } from './server-url.js';
import { SignalSocket, UpgradeRefused } from './signal-socket.js';

export interface OpenedServer {
  socket: SignalSocket;
  first: FirstAnswer;
}

export interface OpenServerOptions extends ConnectionOptions, JoinQueryOptions {
  token: string;
  /** Called when the server has accepted the WebSocket. */
  upgraded?(): void;
}

/** Asks `/rtc/validate` why the server refuses, where its refusal does not say. */
async function askForReason(
  server: URL,
  refusal: UpgradeRefused,
  options: OpenServerOptions,
): Promise<UpgradeRefused> {
  if (refusal.body.trim() !== '') return refusal;
  const validate = httpEndpointOf(server, 'rtc/validate');
  validate.search = joinQuery(options).toString();
  try {
    const answer = await httpGet(validate, options.token, options);
    return answer.status >= 400 ? new UpgradeRefused(answer.status, answer.body) : refusal;
  } catch {
    return refusal;
  }
}

function openWebSocket(server: URL, connection: Socket, options: OpenServerOptions): Promise<SignalSocket> {
  const { timeline, token, attempt, signal } = options;
  const host = hostOf(server);
  const endpoint = endpointOf(server, 'rtc');
  endpoint.search = joinQuery(options).toString();
  return runStage(
    timeline,
    {
      stage: 'websocket',
      host,
      attempt,
      signal,
      timeoutMs: stageTimeoutMs(options, 'websocket'),
      what: `WebSocket to ${host}`,
      advice:
        'The port accepts connections and answers no HTTP request: check that a LiveKit server listens there.',
    },
    async (abort) => {
      try {
        return await SignalSocket.connect(endpoint, { token, connection, signal: abort });
      } catch (error) {
        if (!(error instanceof UpgradeRefused)) throw error;
        throw explainRefusal(await askForReason(server, error, { ...options, signal: abort }), token, host);
      }
    },
  );
}

/**
 * Opens the signal connection of one server as far as its first answer; each step is a row of the timeline. Nothing is
 * left of it when it fails or `options.signal` aborts.
 *
 * @throws OffhookError, or the reason of the signal
 */
export async function openServer(server: URL, options: OpenServerOptions): Promise<OpenedServer> {
  const { timeline, attempt, signal } = options;
  const host = hostOf(server);
  const connection = await openConnection(server, options);
  try {
    const socket = await openWebSocket(server, connection, options);
    options.upgraded?.();
    const resuming = options.resume !== undefined;
    const first = await runStage(
      timeline,
      {
        stage: 'join',
        host,
        attempt,
        signal,
        timeoutMs: stageTimeoutMs(options, 'join'),
        what: `${resuming ? 'ReconnectResponse' : 'JoinResponse'} of ${host}`,
        advice:
          'The server accepted the WebSocket and says nothing: read its log, and check what stands before it.',
      },
      (abort) => awaitFirstAnswer(socket, { resuming, host, signal: abort }),
    );
    return { socket, first };
  } catch (error) {
    connection.destroy();
    throw error;
  }
}

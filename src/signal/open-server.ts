import type { Socket } from 'node:net';
import { OffhookError } from '../errors/index.js';
import { limits } from '../limits.js';
import { runStage } from '../timeline/index.js';
import { openConnection } from './connection.js';
import { type ConnectionOptions, stageTimeoutMs } from './connection-options.js';
import { awaitFirstAnswer, type FirstAnswer } from './first-answer.js';
import { httpGet } from './http-get.js';
import { type JoinQueryOptions, joinQuery, singleConnectionQuery } from './join-query.js';
import { explainRefusal } from './refusal.js';
import { endpointOf, hostOf, httpEndpointOf } from './server-url.js';
import { SignalSocket, UpgradeRefused } from './signal-socket.js';

export interface OpenedServer {
  socket: SignalSocket;
  first: FirstAnswer;
  /** The session has one peer connection for both directions. */
  isSingle: boolean;
}

export interface OpenServerOptions extends ConnectionOptions, JoinQueryOptions {
  token: string;
  /** Called when the server has accepted the WebSocket. */
  upgraded?(): void;
}

/** Servers without `/rtc/v1`, by URL, and until when each is not asked for it again, in `performance.now()` time. */
const withoutSingle = new Map<string, number>();

function knowsSingle(server: URL): boolean {
  return (withoutSingle.get(server.href) ?? 0) <= performance.now();
}

function rememberWithoutSingle(server: URL): void {
  withoutSingle.delete(server.href);
  withoutSingle.set(server.href, performance.now() + limits.withoutSingleConnectionMs.value);
  const [oldest] = withoutSingle.keys();
  if (withoutSingle.size > limits.withoutSingleConnection.value && oldest) withoutSingle.delete(oldest);
}

/** The path and query that a session is asked for with. */
function target(isSingle: boolean, options: JoinQueryOptions): { path: string; query: URLSearchParams } {
  return isSingle
    ? { path: 'rtc/v1', query: singleConnectionQuery(options, options.singleConnection?.offer) }
    : { path: 'rtc', query: joinQuery(options) };
}

/** Asks `/rtc/validate` why the server refuses, where its refusal does not say. */
async function askForReason(
  server: URL,
  isSingle: boolean,
  refusal: UpgradeRefused,
  options: OpenServerOptions,
): Promise<UpgradeRefused> {
  if (refusal.body.trim() !== '') return refusal;
  const { path, query } = target(isSingle, options);
  const validate = httpEndpointOf(server, `${path}/validate`);
  validate.search = query.toString();
  try {
    const answer = await httpGet(validate, options.token, options);
    return answer.status >= 400 ? new UpgradeRefused(answer.status, answer.body) : refusal;
  } catch {
    return refusal;
  }
}

/** Returns undefined when the server has no single connections: it answered with 404. */
function openWebSocket(
  server: URL,
  isSingle: boolean,
  connection: Socket,
  options: OpenServerOptions,
): Promise<SignalSocket | undefined> {
  const { timeline, token, attempt, signal } = options;
  const host = hostOf(server);
  const { path, query } = target(isSingle, options);
  const endpoint = endpointOf(server, path);
  endpoint.search = query.toString();
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
        const beginsSession = options.resume === undefined;
        return await SignalSocket.connect(endpoint, { token, connection, signal: abort, beginsSession });
      } catch (error) {
        if (!(error instanceof UpgradeRefused)) throw error;
        if (isSingle && error.status === 404) return undefined;
        const reason = await askForReason(server, isSingle, error, { ...options, signal: abort });
        throw explainRefusal(reason, token, host);
      }
    },
  );
}

/**
 * Opens the signal connection of one server as far as its first answer; each step is a row of the timeline. Nothing is
 * left of it when it fails or `options.signal` aborts, but for the moment in which the server is told that we leave.
 *
 * @throws OffhookError, or the reason of the signal
 */
export async function openServer(server: URL, options: OpenServerOptions): Promise<OpenedServer> {
  if (options.singleConnection && (options.resume || knowsSingle(server))) {
    const opened = await openOn(server, true, options);
    if (opened) return opened;
    if (options.resume) {
      throw new OffhookError(
        'OFFHOOK_NOT_SUPPORTED',
        'the server no longer supports a single peer connection',
      );
    }
    const fallback = await openOn(server, false, options);
    rememberWithoutSingle(server);
    return fallback!;
  }
  return (await openOn(server, false, options))!;
}

/** As `openServer`, with one peer connection or two. Returns undefined when the server has no single connections. */
async function openOn(
  server: URL,
  isSingle: boolean,
  options: OpenServerOptions,
): Promise<OpenedServer | undefined> {
  const { timeline, attempt, signal } = options;
  const host = hostOf(server);
  const connection = await openConnection(server, options);
  if (signal.aborted) {
    connection.destroy();
    throw signal.reason;
  }
  let socket: SignalSocket | undefined;
  try {
    socket = await openWebSocket(server, isSingle, connection, options);
    if (!socket) {
      connection.destroy();
      return undefined;
    }
    const opened = socket;
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
      (abort) => awaitFirstAnswer(opened, { resuming, host, signal: abort }),
    );
    return { socket: opened, first, isSingle };
  } catch (error) {
    socket?.abandon(error);
    throw error;
  }
}

import { Ping, type ReconnectReason, type SignalRequest, type SignalResponse } from '@livekit/protocol';
import { createLogger, type Deadlines, OffhookError, runStage, type Timeline } from '../timeline/index.js';
import { checkTokenFormat } from './access-token.js';
import { openConnection } from './connection.js';
import { awaitFirstAnswer, type FirstAnswer } from './first-answer.js';
import { joinQuery } from './join-query.js';
import { KeepAlive } from './keep-alive.js';
import { explainRefusal } from './refusal.js';
import { endpointOf, hostOf, parseServerUrl } from './server-url.js';
import { SignalSocket, UpgradeRefused } from './signal-socket.js';

const log = createLogger('signal');

export interface SignalOptions {
  /** ws(s):// or http(s)://, in order of preference. */
  urls: readonly string[];
  token: string;
  timeline: Timeline;
  deadlines: Deadlines;
  /** Aborting abandons connecting at once; it has no effect once the client is open. */
  abort: AbortSignal;
  autoSubscribe: boolean;
  adaptiveStream: boolean;
  /** What other clients may assume of this one (ClientInfo.client_protocol); 0 when not given. */
  clientProtocol?: number;
  /** Resume of an existing session. */
  resume?: { participantSid: string; reason: ReconnectReason };
  /** URLs (regions) that failed lately and are tried last. */
  avoid?: ReadonlySet<string>;
}

/** For resumed sessions, whose ReconnectResponse does not say: livekit-server's defaults, in seconds. */
const resumedPings = { pingInterval: 5, pingTimeout: 15 };

interface Opened {
  socket: SignalSocket;
  first: FirstAnswer;
}

/** Opens one URL as far as the server's first answer. Nothing is left of it when it fails or `signal` aborts. */
async function openUrl(
  server: URL,
  attempt: number,
  options: SignalOptions,
  signal: AbortSignal,
): Promise<Opened> {
  const { timeline, deadlines, token } = options;
  const host = hostOf(server);
  const connection = await openConnection(server, { timeline, deadlines, attempt, signal });
  const endpoint = endpointOf(server, 'rtc');
  endpoint.search = joinQuery(options).toString();
  const common = { host, attempt, signal };
  const socket = await runStage(
    timeline,
    { ...common, stage: 'websocket', timeoutMs: deadlines.websocket, what: `WebSocket to ${host}` },
    async (abort) => {
      try {
        return await SignalSocket.connect(endpoint, { token, connection, signal: abort });
      } catch (error) {
        if (error instanceof UpgradeRefused) throw explainRefusal(error, token, host);
        throw error;
      }
    },
  );
  const awaited = options.resume ? 'ReconnectResponse' : 'JoinResponse';
  const first = await runStage(
    timeline,
    { ...common, stage: 'join', timeoutMs: deadlines.join, what: `${awaited} of ${host}` },
    (abort) => awaitFirstAnswer(socket, { resuming: options.resume !== undefined, host, signal: abort }),
  ).catch((error) => {
    socket.destroy();
    throw error;
  });
  return { socket, first };
}

/** A signal connection that the server has answered, kept alive with pings at the server's interval. */
export class SignalClient {
  readonly first: FirstAnswer;
  /** The URL that answered, as it was given. */
  readonly url: string;
  #host: string;
  #socket: SignalSocket;
  #keepAlive: KeepAlive;
  #rttMs: number | undefined;

  private constructor(url: string, { socket, first }: Opened) {
    this.url = url;
    this.first = first;
    this.#host = hostOf(parseServerUrl(url));
    this.#socket = socket;
    const { pingInterval, pingTimeout } = first.case === 'join' ? first.value : resumedPings;
    this.#keepAlive = new KeepAlive({
      intervalMs: pingInterval * 1000,
      timeoutMs: pingTimeout * 1000,
      ping: () => this.#ping(),
      silent: () => this.#onSilence(pingTimeout * 1000),
    });
  }

  /**
   * Connects to the first of the URLs that answers and joins, or resumes, the session.
   *
   * @returns once the JoinResponse or ReconnectResponse is there
   * @throws OffhookError: `OFFHOOK_INVALID_URL`, `OFFHOOK_INVALID_TOKEN`, `OFFHOOK_UNAUTHORIZED`,
   *   `OFFHOOK_UNREACHABLE`, `OFFHOOK_PROTOCOL`, `OFFHOOK_SERVER_REFUSED` (a leave is its `cause`),
   *   `OFFHOOK_DEADLINE`, `OFFHOOK_ABORTED`
   */
  static async open(options: SignalOptions): Promise<SignalClient> {
    checkTokenFormat(options.token);
    const servers = options.urls.map((url) => ({ url, server: parseServerUrl(url) }));
    let failure: unknown = new OffhookError('OFFHOOK_INVALID_URL', 'no URL of a server was given', {
      stage: 'url',
    });
    for (const [index, { url, server }] of servers.entries()) {
      try {
        return new SignalClient(url, await openUrl(server, index + 1, options, options.abort));
      } catch (error) {
        failure = error;
        if (options.abort.aborted) break;
      }
    }
    throw failure;
  }

  /** Round-trip time of the last ping. */
  get rttMs(): number | undefined {
    return this.#rttMs;
  }

  /** Sends a message after those sent before it; dropped once the connection is closed. */
  send(message: SignalRequest['message']): void {
    if (this.#socket.isOpen) this.#socket.send(message);
    else log.debug(`send: dropped ${message.case}, the connection to ${this.#host} is closed`);
  }

  /** Called with each message but pongs, in order; those that came before it was set are delivered at once. */
  set onMessage(listener: (message: SignalResponse['message']) => void) {
    this.#socket.onMessage = ({ message }) => {
      this.#keepAlive.heard();
      if (message.case === 'pongResp') this.#rttMs = Date.now() - Number(message.value.lastPingTimestamp);
      else if (message.case !== undefined && message.case !== 'pong') listener(message);
    };
  }

  /** Called once when the connection ends, unless by {@link close}. */
  set onClose(listener: (reason: OffhookError) => void) {
    this.#socket.onClose = (reason) => {
      this.#keepAlive.stop();
      listener(reason);
    };
  }

  /** Ends the connection; what was sent before still leaves, then nothing is left behind. */
  close(): void {
    this.#keepAlive.stop();
    this.#socket.close();
  }

  #ping(): void {
    const timestamp = BigInt(Date.now());
    const rtt = BigInt(this.#rttMs ?? 0);
    this.send({ case: 'pingReq', value: new Ping({ timestamp, rtt }) });
  }

  #onSilence(timeoutMs: number): void {
    this.#socket.fail(
      new OffhookError('OFFHOOK_UNREACHABLE', `${this.#host} answered no ping for ${timeoutMs} ms`, {
        stage: 'websocket',
        host: this.#host,
        advice: 'The network or the server went away.',
      }),
    );
  }
}

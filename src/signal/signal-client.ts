import { type DisconnectReason, Ping, type SignalRequest, type SignalResponse } from '@livekit/protocol';
import { describeError, OffhookError } from '../errors/index.js';
import { createLogger, type Logger, type LogSubject } from '../logging/index.js';
import { checkTokenFormat } from './access-token.js';
import type { FirstAnswer } from './first-answer.js';
import { KeepAlive } from './keep-alive.js';
import { watchLocalAddress } from './local-address.js';
import { hostOf, parseServerUrl } from './server-url.js';
import type { SignalSocket } from './signal-socket.js';
import { raceUrls, type UrlRaceOptions, type UrlRaceWinner } from './url-race.js';

const log = createLogger('signal');

export interface SignalOptions extends Omit<UrlRaceOptions, 'signal'> {
  /** Aborting abandons connecting at once; it has no effect once the client is open. */
  abort: AbortSignal;
}

/** For resumed sessions, whose ReconnectResponse does not say: livekit-server's defaults, in seconds. */
const resumedPings = { pingInterval: 5, pingTimeout: 15 };

/**
 * What an abort comes to: the error it was made with where it is one of ours (a deadline of the caller's), with the
 * step that was under way.
 */
function abandoned({ abort, timeline }: SignalOptions): OffhookError {
  const reason: unknown = abort.reason;
  const row = timeline.spans.findLast(({ outcome }) => outcome !== 'ok');
  const where = { stage: row?.stage, host: row?.host, elapsedMs: timeline.elapsedMs() };
  if (!(reason instanceof OffhookError)) {
    return new OffhookError('OFFHOOK_ABORTED', 'connecting was cancelled', { ...where, cause: reason });
  }
  const advice = reason.advice;
  return new OffhookError(reason.code, reason.message, { ...where, advice, cause: reason });
}

/** A signal connection that the server has answered, kept alive with pings at the server's interval. */
export class SignalClient {
  readonly first: FirstAnswer;
  /** The URL that answered, as it was given. */
  readonly url: string;
  /** The session has one peer connection for both directions. */
  readonly isSingle: boolean;
  #host: string;
  #log: Logger;
  #socket: SignalSocket;
  #keepAlive: KeepAlive;
  #stopWatching: () => void;
  #rttMs: number | undefined;

  private constructor({ url, socket, first, isSingle }: UrlRaceWinner, subject: LogSubject) {
    this.#log = log.about(subject);
    this.url = url;
    this.first = first;
    this.isSingle = isSingle;
    this.#host = hostOf(parseServerUrl(url));
    this.#socket = socket;
    const { pingInterval, pingTimeout } = first.case === 'join' ? first.value : resumedPings;
    this.#keepAlive = new KeepAlive({
      intervalMs: pingInterval * 1000,
      timeoutMs: pingTimeout * 1000,
      ping: () => this.#ping(),
      silent: () =>
        this.#fail(`answered no ping for ${pingTimeout} s`, 'Check the network and that the server runs.'),
    });
    const { localAddress } = socket;
    this.#stopWatching = watchLocalAddress(localAddress, () =>
      this.#fail(
        `is no longer reached from ${localAddress}`,
        'This machine has lost that address: its network changed.',
      ),
    );
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
    const { abort } = options;
    if (abort.aborted) throw abandoned(options);
    let winner: UrlRaceWinner;
    try {
      winner = await raceUrls({ ...options, signal: abort });
    } catch (error) {
      throw abort.aborted ? abandoned(options) : error;
    }
    if (!abort.aborted) return new SignalClient(winner, options.timeline.subject);
    winner.socket.abandon(abort.reason);
    throw abandoned(options);
  }

  /** Round-trip time of the last ping. */
  get rttMs(): number | undefined {
    return this.#rttMs;
  }

  /** Sends a message after those sent before it; dropped once the connection is closed. */
  send(message: SignalRequest['message']): void {
    if (this.#socket.isOpen) this.#socket.send(message);
    else
      this.#log.debug(`a message (${message.case}) is not sent: the connection to ${this.#host} is closed`);
  }

  /** Called with each message but pongs, in order; those that came before it was set are delivered at once. */
  set onMessage(listener: (message: SignalResponse['message']) => void) {
    this.#socket.onMessage = ({ message }) => {
      this.#keepAlive.heard();
      if (message.case === 'pongResp') this.#rttMs = Date.now() - Number(message.value.lastPingTimestamp);
      else if (message.case !== undefined && message.case !== 'pong') {
        try {
          listener(message);
        } catch (error) {
          // One message that nobody can deal with must not end the room, nor the process.
          this.#log.error(
            `a message (${message.case}) from ${this.#host} is dropped: ${describeError(error)}`,
          );
        }
      }
    };
  }

  /** Called once when the connection ends, unless by {@link close}. */
  set onClose(listener: (reason: OffhookError) => void) {
    this.#socket.onClose = (reason) => {
      this.#stop();
      listener(reason);
    };
  }

  /** Ends the connection; what was sent before still leaves, then nothing is left behind. */
  close(): void {
    this.#stop();
    this.#socket.close();
  }

  /**
   * Tells the server that we leave, and ends the connection when the server has, or soon after.
   *
   * @returns when it has ended
   */
  leave(reason?: DisconnectReason): Promise<void> {
    this.#stop();
    return this.#socket.leave(reason);
  }

  /** Ends a connection that is no longer needed, and tells the server that we leave where it would wait for us. */
  abandon(reason: unknown): void {
    this.#stop();
    this.#socket.abandon(reason);
  }

  #ping(): void {
    const timestamp = BigInt(Date.now());
    const rtt = BigInt(this.#rttMs ?? 0);
    this.send({ case: 'pingReq', value: new Ping({ timestamp, rtt }) });
  }

  #stop(): void {
    this.#keepAlive.stop();
    this.#stopWatching();
  }

  #fail(what: string, advice: string): void {
    this.#stop();
    this.#socket.fail(
      new OffhookError('OFFHOOK_UNREACHABLE', `${this.#host} ${what}`, {
        stage: 'websocket',
        host: this.#host,
        advice,
      }),
    );
  }
}

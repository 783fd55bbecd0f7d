import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import {
  DisconnectReason,
  LeaveRequest,
  LeaveRequest_Action,
  SignalRequest,
  SignalResponse,
} from '@livekit/protocol';
import { type RawData, WebSocket } from 'ws';
import { OffhookError, outsideText, withoutTokens } from '../errors/index.js';
import { limits } from '../limits.js';
import { readBody } from './http-get.js';
import { LossProbe } from './loss-probe.js';
import { unreachable } from './network-error.js';
import { hostOf } from './server-url.js';

/** For what was sent to leave this machine once we close. */
const flushMs = 500;
/** For the server to end the connection after a leave, and before it to accept the WebSocket. */
const leaveMs = 1_000;

/** The answer of a server that did not upgrade the connection. */
export class UpgradeRefused extends Error {
  constructor(
    readonly status: number,
    readonly body: string,
  ) {
    super(`HTTP ${status}`);
  }
}

export interface SignalSocketOptions {
  token: string;
  /** A connection to the server, encrypted where the URL says so. */
  connection: Duplex;
  /** Aborting it abandons the WebSocket. */
  signal: AbortSignal;
  /** The server begins a session on it, which it must be told to end when the WebSocket is abandoned. */
  beginsSession: boolean;
}

/** The WebSocket of one signal connection: SignalRequests go in, SignalResponses come out, in order. */
export class SignalSocket {
  #webSocket: WebSocket;
  #connection: Duplex;
  #host: string;
  #beginsSession: boolean;
  #probe: LossProbe;
  #isGathering = false;
  #waiting: SignalResponse[] = [];
  #onMessage: ((message: SignalResponse) => void) | undefined;
  #onClose: ((reason: OffhookError) => void) | undefined;
  #closed: OffhookError | undefined;
  #closing = false;

  private constructor(webSocket: WebSocket, connection: Duplex, host: string, beginsSession: boolean) {
    this.#webSocket = webSocket;
    this.#connection = connection;
    this.#host = host;
    this.#beginsSession = beginsSession;
    this.#probe = new LossProbe((id) => {
      this.#gather();
      if (webSocket.readyState === WebSocket.OPEN) webSocket.ping(id);
    });
    webSocket.on('pong', (id) => this.#probe.pong(id.toString()));
    webSocket.on('message', (data, isBinary) => this.#receive(data, isBinary));
    webSocket.on('error', (error) => this.fail(unreachable(error, { stage: 'websocket', host })));
    webSocket.on('close', (code, reason) => {
      const text = reason.length > 0 ? `: ${outsideText(reason.toString())}` : '';
      this.fail(
        new OffhookError('OFFHOOK_UNREACHABLE', `the server closed the signal connection (${code}${text})`, {
          stage: 'websocket',
          host,
        }),
      );
    });
  }

  /**
   * Upgrades `connection`. The connection is destroyed when that fails. When `signal` aborts, it is left or destroyed as
   * `abandon` says.
   *
   * @throws UpgradeRefused when the server answered with another status; OffhookError `OFFHOOK_UNREACHABLE`
   */
  static connect(url: URL, options: SignalSocketOptions): Promise<SignalSocket> {
    const { token, connection, signal, beginsSession } = options;
    return new Promise((resolve, reject) => {
      const webSocket = new WebSocket(url, {
        createConnection: () => connection as never,
        headers: { authorization: `Bearer ${token}` },
        perMessageDeflate: false,
        maxPayload: limits.signalMessage.value,
      });
      const socket = new SignalSocket(webSocket, connection, hostOf(url), beginsSession);
      const abort = () => {
        socket.abandon(signal.reason);
        reject(signal.reason);
      };
      signal.addEventListener('abort', abort, { once: true });
      const settled = () => signal.removeEventListener('abort', abort);
      webSocket.once('unexpected-response', (_request, response) => {
        readBody(response, limits.refusalBody.value).then((body) => {
          settled();
          socket.destroy();
          // Kept as the cause of an error, which a program may print whole.
          reject(new UpgradeRefused(response.statusCode ?? 0, withoutTokens(body, [token])));
        });
      });
      webSocket.once('open', () => {
        settled();
        socket.#onClose = undefined;
        resolve(socket);
      });
      socket.#onClose = (reason) => {
        settled();
        connection.destroy();
        reject(reason);
      };
    });
  }

  /**
   * The next message, before `onMessage` and `onClose` are set.
   *
   * @throws OffhookError when the connection ends first, or the reason of `signal`
   */
  next(signal: AbortSignal): Promise<SignalResponse> {
    return new Promise((resolve, reject) => {
      const message = this.#waiting.shift();
      if (message) {
        resolve(message);
        return;
      }
      const abort = () => reject(signal.reason);
      signal.addEventListener('abort', abort, { once: true });
      const settled = () => {
        signal.removeEventListener('abort', abort);
        this.#onMessage = undefined;
        this.#onClose = undefined;
      };
      this.#onMessage = (next) => {
        settled();
        resolve(next);
      };
      this.onClose = (reason) => {
        settled();
        reject(reason);
      };
    });
  }

  /** Puts messages that {@link next} gave back in front of those that wait. */
  putBack(messages: readonly SignalResponse[]): void {
    this.#waiting.unshift(...messages);
  }

  /** Hands over every message, those that came before first. */
  set onMessage(listener: (message: SignalResponse) => void) {
    this.#onMessage = listener;
    while (this.#onMessage === listener && this.#waiting.length > 0) listener(this.#waiting.shift()!);
    this.#tellClose();
  }

  /** Called once when the connection has ended without our doing and every message has been handed over. */
  set onClose(listener: (reason: OffhookError) => void) {
    this.#onClose = listener;
    this.#tellClose();
  }

  /** Where the connection begins on this machine; undefined when it is no socket of ours (TLS through a proxy's TLS). */
  get localAddress(): string | undefined {
    return this.#connection instanceof Socket ? this.#connection.localAddress : undefined;
  }

  get isOpen(): boolean {
    return this.#closed === undefined && !this.#closing;
  }

  send(message: SignalRequest['message']): void {
    this.#gather();
    this.#webSocket.send(new SignalRequest({ message }).toBinary(), (error) => {
      if (error) this.fail(unreachable(error, { stage: 'websocket', host: this.#host }));
    });
    if (message.case !== 'pingReq' && message.case !== 'ping') this.#probe.messageSent();
  }

  /** Sends what is under way and a close frame, then frees the socket without waiting for the server's answer. */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
    this.#probe.stop();
    this.#waiting = [];
    if (this.#webSocket.readyState !== WebSocket.OPEN) {
      this.destroy();
      return;
    }
    this.#webSocket.close(1000);
    const timer = setTimeout(() => this.#connection.destroy(), flushMs);
    this.#connection.once('close', () => clearTimeout(timer));
    this.#connection.end(() => this.#connection.destroy());
  }

  /**
   * Tells the server that we leave, and frees the socket when the server has ended the connection, or soon after; nothing
   * is handed over any more. A server that is about to accept the WebSocket may have begun the session already: it is
   * told once it has.
   *
   * @returns when the socket is free
   */
  leave(reason: DisconnectReason = DisconnectReason.CLIENT_INITIATED): Promise<void> {
    const { readyState } = this.#webSocket;
    if (this.#closing || (readyState !== WebSocket.OPEN && readyState !== WebSocket.CONNECTING)) {
      this.close();
      return Promise.resolve();
    }
    this.#closing = true;
    this.#waiting = [];
    const value = new LeaveRequest({ reason, action: LeaveRequest_Action.DISCONNECT });
    const say = () => {
      this.send({ case: 'leave', value });
      // At once: a process that leaves its rooms may end within this turn.
      this.#connection.uncork();
    };
    if (readyState === WebSocket.OPEN) say();
    else this.#webSocket.once('open', say);
    return new Promise((resolve) => {
      const timer = setTimeout(() => this.destroy(), leaveMs);
      this.#connection.once('close', () => {
        clearTimeout(timer);
        this.#probe.stop();
        resolve();
      });
    });
  }

  /**
   * Frees the socket because connecting was given up for `reason`. The server is told where it would keep a participant for
   * nobody: in a session that began on this socket, and in one that was to be resumed when the program leaves.
   */
  abandon(reason?: unknown): void {
    if (this.#beginsSession || isLeaving(reason)) void this.leave();
    else this.destroy();
  }

  /** Frees the socket at once. */
  destroy(): void {
    this.#closing = true;
    this.#probe.stop();
    this.#waiting = [];
    this.#webSocket.terminate();
    this.#connection.destroy();
  }

  /** Frees the socket because of `reason`, which whoever listens for its end is told. */
  fail(reason: OffhookError): void {
    if (this.#closed) return;
    this.#closed = reason;
    this.#probe.stop();
    this.#webSocket.terminate();
    this.#tellClose();
  }

  /**
   * What is said in one turn leaves in one write, after what has come was read. Two writes to a connection that the server
   * has ended would lose its last words, which say why: the second one fails, and frees the socket.
   */
  #gather(): void {
    if (this.#isGathering) return;
    this.#isGathering = true;
    this.#connection.cork();
    setImmediate(() => {
      this.#isGathering = false;
      this.#connection.uncork();
    });
  }

  #receive(data: RawData, isBinary: boolean): void {
    if (this.#closing) return;
    let response: SignalResponse;
    try {
      if (!isBinary) throw new Error('a text message');
      response = SignalResponse.fromBinary(data as Buffer);
    } catch (cause) {
      this.fail(
        new OffhookError('OFFHOOK_PROTOCOL', `${this.#host} sent a message that is not a SignalResponse`, {
          stage: 'websocket',
          host: this.#host,
          advice: 'Check that the address is that of a LiveKit server.',
          cause,
        }),
      );
      return;
    }
    if (this.#onMessage) this.#onMessage(response);
    else this.#waiting.push(response);
  }

  #tellClose(): void {
    if (!this.#closed || this.#closing || this.#waiting.length > 0 || !this.#onClose) return;
    this.#closing = true;
    this.#onClose(this.#closed);
  }
}

/** Whether the program leaves the room. Deadlines and races wrap that error as the cause of their own. */
function isLeaving(reason: unknown): boolean {
  if (!(reason instanceof OffhookError)) return false;
  return reason.code === 'OFFHOOK_CLOSED' || isLeaving(reason.cause);
}

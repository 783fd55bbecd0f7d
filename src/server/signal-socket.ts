import { SignalRequest } from '@livekit/protocol';
import { type RawData, WebSocket } from 'ws';
import { describeError } from '../errors/index.js';
import { createLogger } from '../logging/index.js';
import { Boundary } from './boundary.js';
import { limits } from './limits.js';
import { RequestBudget } from './request-budget.js';
import type { SignalMessage } from './signal-message.js';
import { startTimeout, type Timeout } from './timers.js';

const log = createLogger('server/signal');

interface SignalSocketHandlers {
  onRequest: (request: SignalRequest['message']) => void;
  /** The socket has ended, whoever ended it. */
  onClose: () => void;
}

/** Seconds, as they stand in the JoinResponse. */
export const pingIntervalS = 5;
export const pingTimeoutS = 15;
const closeTimeoutMs = 1000;

const maxUnreadableWarnings = 5;

/**
 * One signalling WebSocket: protobuf, or JSON once the client has sent some.
 *
 * A client that sends faster than its budget is not read until it is within it again: its own requests wait, nobody
 * else's do. One that does not read what it is sent is cut off.
 */
export class SignalSocket {
  #name: string;
  #socket: WebSocket;
  #handlers: SignalSocketHandlers;
  #boundary: Boundary;
  #json = false;
  #closed = false;
  #silence: Timeout;
  #requests: RequestBudget;
  /** Milliseconds of work that the client may still cause. */
  #work: RequestBudget;
  /** Messages that were read before reading was paused. */
  #waiting: { data: RawData; isBinary: boolean }[] = [];
  #resume: Timeout | undefined;
  #unreadable = 0;

  /** @param name whose socket it is, for the log. */
  constructor(name: string, socket: WebSocket, handlers: SignalSocketHandlers) {
    this.#name = name;
    this.#socket = socket;
    this.#handlers = handlers;
    this.#boundary = new Boundary(name);
    const nowMs = performance.now();
    const { signalRequestsPerSecond, signalRequestBurst, workPerSecond, workBurst } = limits;
    this.#requests = new RequestBudget(signalRequestsPerSecond.value, signalRequestBurst.value, nowMs);
    this.#work = new RequestBudget(workPerSecond.value, workBurst.value, nowMs);
    this.#silence = startTimeout(name, pingTimeoutS * 1000, () => this.close());
    const receive = (data: RawData, isBinary: boolean) => {
      if (this.#closed) return;
      this.#waiting.push({ data, isBinary });
      if (!this.#resume) this.#serve();
    };
    socket.on('message', this.#boundary.wrap('message', receive));
    socket.on('error', (error) => log.debug(`${name}: socket error: ${error.message}`));
    const end = () => {
      this.#stop();
      handlers.onClose();
    };
    socket.on('close', this.#boundary.wrap('close', end));
  }

  /** Sends a message, unless the socket has ended. A client that leaves too much unread is cut off instead. */
  send(message: SignalMessage): void {
    if (this.#closed || this.#socket.readyState !== WebSocket.OPEN) return;
    if (this.#socket.bufferedAmount > limits.unreadSignalBytes.value) {
      log.warn(`${this.#name}: cut off, ${this.#socket.bufferedAmount} bytes of signalling are unread`);
      this.terminate();
      return;
    }
    this.#boundary.run(`sending ${message.message.case}`, () =>
      this.#socket.send(this.#json ? message.json : message.binary),
    );
  }

  /** Ends the connection without a word. */
  terminate(): void {
    this.#stop();
    this.#socket.terminate();
  }

  /** Takes no more requests, and closes after what was sent has left. */
  close(): void {
    this.#stop();
    this.#socket.resume();
    this.#socket.close(1000);
    const giveUp = startTimeout(this.#name, closeTimeoutMs, () => this.#socket.terminate());
    this.#socket.once('close', () => giveUp.cancel());
  }

  #stop(): void {
    this.#closed = true;
    this.#waiting = [];
    this.#silence.cancel();
    this.#resume?.cancel();
  }

  /** Serves what waits, as far as the budget goes. */
  #serve(): void {
    this.#resume = undefined;
    let served = 0;
    while (!this.#closed && served < this.#waiting.length) {
      const startMs = performance.now();
      const waitMs = Math.max(this.#requests.waitMs(startMs), this.#work.waitMs(startMs));
      if (waitMs > 0) {
        this.#pause(waitMs);
        break;
      }
      const { data, isBinary } = this.#waiting[served++]!;
      this.#boundary.run('request', () => this.#receive(data, isBinary));
      const endMs = performance.now();
      this.#requests.spend(1, endMs);
      this.#work.spend(endMs - startMs, endMs);
    }
    this.#waiting.splice(0, served);
  }

  #pause(waitMs: number): void {
    this.#socket.pause();
    this.#resume = startTimeout(this.#name, waitMs, () => {
      this.#serve();
      if (!this.#resume && !this.#closed) this.#socket.resume();
    });
  }

  #receive(data: RawData, isBinary: boolean): void {
    this.#silence.restart();
    const bytes = Buffer.isBuffer(data) ? data : Buffer.concat(data as Buffer[]);
    const message = this.#parse(bytes, isBinary);
    if (message) this.#handlers.onRequest(message);
  }

  /** Undefined when it is not a message: it costs its sender the message, never the connection of anybody else. */
  #parse(bytes: Buffer, isBinary: boolean): SignalRequest['message'] | undefined {
    try {
      if (isBinary) return SignalRequest.fromBinary(bytes).message;
      this.#json = true;
      return SignalRequest.fromJsonString(bytes.toString(), { ignoreUnknownFields: true }).message;
    } catch (error) {
      this.#unreadable++;
      const report = `${this.#name}: unreadable message passed over: ${describeError(error)}`;
      if (this.#unreadable <= maxUnreadableWarnings) log.warn(report);
      else log.debug(report);
      return undefined;
    }
  }
}

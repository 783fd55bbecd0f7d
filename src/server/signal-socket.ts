import { SignalRequest } from '@livekit/protocol';
import { type RawData, WebSocket } from 'ws';
import { describeError } from '../errors/index.js';
import { createLogger } from '../logging/index.js';
import { Boundary } from './boundary.js';
import { BoundedLog } from './bounded-log.js';
import { limits } from './limits.js';
import { requireFewBraces, requireFewParts } from './message-bound.js';
import { RequestBudget } from './request-budget.js';
import type { SignalMessage } from './signal-message.js';
import { startTimeout, type Timeout } from './timers.js';
import type { Turns } from './turns.js';
import type { WorkMeter } from './work-meter.js';

const log = createLogger('server/signal');

interface SignalSocketOptions {
  /** Where its requests wait for those of others. */
  turns: Turns;
  /** What the client's requests cost, on this socket and on those before. */
  work: WorkMeter;
  /** The bytes that others are sent because of them; undefined where they cause none. */
  announced?: RequestBudget;
  onRequest: (request: SignalRequest['message']) => void;
  /** The socket has ended, whoever ended it. */
  onClose: () => void;
}

/** Seconds, as they stand in the JoinResponse. */
export const pingIntervalS = 5;
export const pingTimeoutS = 15;
const closeTimeoutMs = 1000;

const unreadableWarningsPerMinute = 5;

/**
 * One signalling WebSocket: protobuf, or JSON once the client has sent some.
 *
 * A client that sends faster than its budget is not read until it is within it again: its own requests wait, nobody
 * else's do. One that does not read what it is sent is cut off.
 */
export class SignalSocket {
  #name: string;
  #socket: WebSocket;
  #options: SignalSocketOptions;
  #boundary: Boundary;
  #json = false;
  #closed = false;
  #closing = false;
  #silence: Timeout;
  #requests: RequestBudget;
  /** Messages that were read and wait for their turn. While there are any, no more are read. */
  #waiting: { data: RawData; isBinary: boolean }[] = [];
  /** Ends the wait of a client that is beyond its budget. */
  #resume: Timeout | undefined;
  #warnings = new BoundedLog(log, unreadableWarningsPerMinute);

  /** @param name whose socket it is, for the log. */
  constructor(name: string, socket: WebSocket, options: SignalSocketOptions) {
    this.#name = name;
    this.#socket = socket;
    this.#options = options;
    this.#boundary = new Boundary(name);
    const nowMs = performance.now();
    const { signalRequestsPerSecond, signalRequestBurst } = limits;
    this.#requests = new RequestBudget(signalRequestsPerSecond.value, signalRequestBurst.value, nowMs);
    this.#silence = startTimeout(name, pingTimeoutS * 1000, () => this.close());
    const receive = (data: RawData, isBinary: boolean) => {
      if (this.#closed) return;
      this.#waiting.push({ data, isBinary });
      if (this.#resume) return;
      options.turns.request(this.#turn);
      if (this.#waiting.length > 0) socket.pause();
    };
    socket.on('message', this.#boundary.wrap('message', receive));
    socket.on(
      'ping',
      this.#boundary.wrap('ping', () => this.#countPing()),
    );
    socket.on('error', (error) => log.debug(`${name}: socket error: ${error.message}`));
    const end = () => {
      const last = this.#waiting.at(-1);
      this.#stop();
      // A client leaves and closes at once: others would take it for lost if its leave went with its place in the queue.
      const message = last && this.#parse(bytesOf(last.data), last.isBinary);
      if (message?.case === 'leave') this.#boundary.run('request', () => options.onRequest(message));
      options.onClose();
    };
    socket.on('close', this.#boundary.wrap('close', end));
  }

  /** Sends a message, unless the socket has ended. A client that leaves too much unread is cut off instead. */
  send(message: SignalMessage): void {
    if (this.#closed || this.#socket.readyState !== WebSocket.OPEN) return;
    if (this.#socket.bufferedAmount > limits.unreadSignalBytes.value) {
      log.warn(
        `${this.#name}: disconnected: it has not read ${this.#socket.bufferedAmount} bytes of signalling`,
      );
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

  /** Takes no more requests, and closes after what was sent has left. Once: each call would add a timer and a listener. */
  close(): void {
    if (this.#closing) return;
    this.#closing = true;
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

  #turn = (untilMs: number): boolean => this.#boundary.run('turn', () => this.#serve(untilMs)) ?? false;

  /** Serves what waits, as far as the turn and the budget go. Returns whether it is to have another turn. */
  #serve(untilMs: number): boolean {
    const { work, announced } = this.#options;
    let served = 0;
    while (!this.#closed && served < this.#waiting.length) {
      const nowMs = performance.now();
      if (served > 0 && nowMs >= untilMs) break;
      const waitMs = Math.max(this.#requests.waitMs(nowMs), announced?.waitMs(nowMs) ?? 0, work.waitMs);
      if (waitMs > 0) {
        this.#wait(waitMs);
        break;
      }
      const { data, isBinary } = this.#waiting[served++]!;
      this.#requests.spend(1, nowMs);
      work.run(() => this.#boundary.run('request', () => this.#receive(data, isBinary)));
    }
    this.#waiting.splice(0, served);
    if (this.#closed || this.#resume) return false;
    if (this.#waiting.length > 0) return true;
    if (!this.#socket.isPaused) return false;
    // Pings that came with what was too much count, too.
    const waitMs = this.#requests.waitMs(performance.now());
    if (waitMs > 0) this.#wait(waitMs);
    else this.#socket.resume();
    return false;
  }

  /** Pings are answered at once and count as requests: a client that sends too many is not read for a while. */
  #countPing(): void {
    const nowMs = performance.now();
    this.#requests.spend(1, nowMs);
    const waitMs = this.#requests.waitMs(nowMs);
    if (waitMs > 0 && !this.#closed && !this.#resume) this.#wait(waitMs);
  }

  #wait(waitMs: number): void {
    this.#socket.pause();
    this.#resume = startTimeout(this.#name, waitMs, () => {
      this.#resume = undefined;
      this.#options.turns.request(this.#turn);
    });
  }

  #receive(data: RawData, isBinary: boolean): void {
    this.#silence.restart();
    const message = this.#parse(bytesOf(data), isBinary);
    if (message) this.#options.onRequest(message);
  }

  /** Undefined when it is not a message: it costs its sender the message, never the connection of anybody else. */
  #parse(bytes: Buffer, isBinary: boolean): SignalRequest['message'] | undefined {
    try {
      if (isBinary) {
        requireFewParts(SignalRequest, bytes);
        // Unknown fields would be sent on to others, and they have no limit.
        return SignalRequest.fromBinary(bytes, { readUnknownFields: false }).message;
      }
      this.#json = true;
      requireFewBraces(bytes);
      return SignalRequest.fromJsonString(bytes.toString(), { ignoreUnknownFields: true }).message;
    } catch (error) {
      this.#warnings.write(
        'warn',
        `${this.#name}: a message is ignored: it cannot be read: ${describeError(error)}`,
      );
      return undefined;
    }
  }
}

function bytesOf(data: RawData): Buffer {
  return Buffer.isBuffer(data) ? data : Buffer.concat(data as Buffer[]);
}

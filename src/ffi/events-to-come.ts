import type { MessagePort } from 'node:worker_threads';
import { limits } from '../limits.js';
import EventBatch from './program/event-batch.cjs';
import type { Delivery, EventsMessage } from './wire.js';

/** More messages than this that the program has not taken: it is busy, and frames of streams wait here. */
const maxUntaken = 20;
/** How often a program that is busy is looked after: as often as there are frames. */
const lookAfterMs = 10;

/** Collects what happens in one turn of the engine, a tick for example, into one message to the program's thread. */
export class EventsToCome {
  #port: MessagePort;
  #batch = new EventBatch();
  #next: Omit<EventsMessage, 'type' | 'batch'> = {};
  #immediate: NodeJS.Immediate | undefined;
  #taken: Int32Array;
  #sent = 0;
  /** Modulo 2^32, as the number that it is compared with. */
  #sentBytes = 0;
  #untilTaken: Promise<void> | undefined;

  /**
   * @param taken two numbers: the program's thread raises the first by 1 with every message that it takes, the second by
   *   the bytes of a batch once all of its events were delivered
   */
  constructor(port: MessagePort, taken: SharedArrayBuffer) {
    this.#port = port;
    this.#taken = new Int32Array(taken);
  }

  /** Undefined while the program keeps up; otherwise resolves once it has taken what was sent. */
  untilTaken(): Promise<void> | undefined {
    if (!this.#isBehind) return undefined;
    this.#untilTaken ??= new Promise((resolve) => {
      const timer = setInterval(() => {
        if (this.#isBehind) return;
        clearInterval(timer);
        this.#untilTaken = undefined;
        resolve();
      }, lookAfterMs);
    });
    return this.#untilTaken;
  }

  /** Bytes of events that were not delivered yet, those of this turn too. */
  untakenBytes(): number {
    return ((this.#sentBytes - Atomics.load(this.#taken, 1)) | 0) + this.#batch.length;
  }

  get #isBehind(): boolean {
    return (
      ((this.#sent - Atomics.load(this.#taken, 0)) | 0) > maxUntaken ||
      this.untakenBytes() > limits.untakenBytes.value
    );
  }

  /** Takes an event, whose bytes and buffers are copied. */
  add(event: Delivery): void {
    if (event.opened) this.#next.opened = [...(this.#next.opened ?? []), ...event.opened];
    if (event.closed) this.#next.closed = [...(this.#next.closed ?? []), ...event.closed];
    // One without bytes only tells of what was opened or closed.
    if (event.bytes.length > 0) this.#batch.add(event);
    this.#flushSoon();
  }

  /** Captures of a source that waited have room. */
  addRoom(source: number): void {
    this.#next.room = [...(this.#next.room ?? []), source];
    this.#flushSoon();
  }

  /** Sends what there is. */
  flush(): void {
    if (!this.#immediate) return;
    clearImmediate(this.#immediate);
    this.#immediate = undefined;
    const message: EventsMessage = { type: 'events', ...this.#next };
    this.#next = {};
    this.#sent++;
    if (this.#batch.length === 0) {
      this.#port.postMessage(message);
      return;
    }
    message.batch = this.#batch.take();
    this.#sentBytes = (this.#sentBytes + message.batch.length) | 0;
    this.#port.postMessage(message, [message.batch.buffer as ArrayBuffer]);
  }

  /** Once the packets that have come, too, are seen to: what they bring goes along. */
  #flushSoon(): void {
    this.#immediate ??= setImmediate(() => this.flush());
  }
}

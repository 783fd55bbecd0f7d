import { FfiEvent } from '@livekit/rtc-ffi-bindings/proto/ffi_pb.js';
import type { EventCase, EventOf, InitOf } from './messages.js';
import type { Delivery, LentBuffer, Opened } from './wire.js';

/** An event of the protocol, by name and content. */
export type EventInit = {
  [Name in EventCase]: { case: Name; value: InitOf<EventOf<Name>> };
}[EventCase];

export function encodeEvent(message: EventInit): Uint8Array {
  return new FfiEvent({ message } as ConstructorParameters<typeof FfiEvent>[0]).toBinary();
}

/** Sends events to the program, with their buffers and with word of what was opened and closed, in order. */
export class Outbox {
  #send: (delivery: Delivery) => void;
  #opened: Opened[] = [];
  #closed: number[] = [];
  #lastOpened = 0;
  #flushing = false;

  constructor(send: (delivery: Delivery) => void) {
    this.#send = send;
  }

  /**
   * @param buffers what the event points to
   * @param to the handle without which the event is of no use
   */
  emit(message: EventInit, buffers: LentBuffer[] = [], to?: number): void {
    this.#send({ bytes: encodeEvent(message), buffers, to, ...this.takeOpenedAndClosed() });
  }

  /** As `emit`, of an event that is encoded already. */
  send(event: Uint8Array): void {
    this.#send({ bytes: event, buffers: [], ...this.takeOpenedAndClosed() });
  }

  /**
   * Something begins that the program waits for.
   *
   * @param ifLost the events that tell of its end should the engine be lost
   * @returns what `close` takes
   */
  open(ifLost: EventInit[]): number {
    const id = ++this.#lastOpened;
    this.#opened.push({ id, ifLost: ifLost.map(encodeEvent) });
    this.#flushSoon();
    return id;
  }

  close(id: number): void {
    this.#closed.push(id);
    this.#flushSoon();
  }

  /** For whatever is sent next. */
  takeOpenedAndClosed(): { opened: Opened[]; closed: number[] } {
    const taken = { opened: this.#opened, closed: this.#closed };
    this.#opened = [];
    this.#closed = [];
    return taken;
  }

  /** What no event of this turn has taken along is sent on its own, as an event without bytes. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      if (this.#opened.length === 0 && this.#closed.length === 0) return;
      this.#send({ bytes: new Uint8Array(0), buffers: [], ...this.takeOpenedAndClosed() });
    });
  }
}

import type { EventCase, EventOf, InitOf } from './messages.js';
import { FfiEvent } from './protocol.js';
import type { Delivery, LentBuffer, Opened, Owed, RoomSession } from './wire.js';

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
  #sessions: RoomSession[] = [];
  #lastOpened = 0;
  #flushing = false;

  constructor(send: (delivery: Delivery) => void) {
    this.#send = send;
  }

  /**
   * @param buffers what the event points to
   * @param to the handle without which the event is of no use
   */
  emit(message: EventInit, buffers?: LentBuffer[], to?: number): void {
    this.send(encodeEvent(message), buffers, to);
  }

  /** As `emit`, of an event that is encoded already. */
  send(bytes: Uint8Array, buffers?: LentBuffer[], to?: number): void {
    const delivery: Delivery = { bytes, ...this.takeOpenedAndClosed() };
    if (buffers) delivery.buffers = buffers;
    if (to !== undefined) delivery.to = to;
    this.#send(delivery);
  }

  /**
   * Something begins that the program waits for.
   *
   * @param owed what tells of its end should the engine be lost
   * @returns what `close` takes
   */
  open(owed: Owed): number {
    const id = ++this.#lastOpened;
    this.#opened.push({ id, owed });
    this.#flushSoon();
    return id;
  }

  close(id: number): void {
    this.#closed.push(id);
    this.#flushSoon();
  }

  /** A room has another session, or is over. */
  keepSession(session: RoomSession): void {
    this.#sessions.push(session);
    this.#flushSoon();
  }

  /** For whatever is sent next. */
  takeOpenedAndClosed(): Pick<Delivery, 'opened' | 'closed' | 'sessions'> {
    const taken: Pick<Delivery, 'opened' | 'closed' | 'sessions'> = {};
    if (this.#sessions.length > 0) taken.sessions = this.#sessions.splice(0);
    if (this.#opened.length > 0) taken.opened = this.#opened.splice(0);
    if (this.#closed.length > 0) taken.closed = this.#closed.splice(0);
    return taken;
  }

  /** What no event of this turn has taken along is sent on its own, as an event without bytes. */
  #flushSoon(): void {
    if (this.#flushing) return;
    this.#flushing = true;
    queueMicrotask(() => {
      this.#flushing = false;
      if (this.#opened.length + this.#closed.length + this.#sessions.length > 0) this.send(new Uint8Array(0));
    });
  }
}

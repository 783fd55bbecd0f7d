import { OffhookError, outsideText } from '../errors/index.js';
import type { FilterHostEvents } from './filter-host.js';

interface Waiting<Reply> {
  resolve(reply: Reply): void;
  reject(error: OffhookError): void;
}

export const filterError = (message: string) => new OffhookError('OFFHOOK_FILTER', message);

/** What every host has: requests that it answers by their number, and one end, after which none is answered. */
export abstract class AnsweringHost<Reply> {
  protected readonly events: FilterHostEvents;
  #waiting = new Map<number, Waiting<Reply>>();
  #nextId = 1;
  #ended = false;

  constructor(events: FilterHostEvents) {
    this.events = events;
  }

  /** Ends it at once, whatever it is doing. `onEnd` is not called. */
  close(): void {
    this.#release('its host was closed');
  }

  protected get ended(): boolean {
    return this.#ended;
  }

  /** Ends what runs the filter's code. Called once. */
  protected abstract stop(): void;

  /** Settles when the request that `send` sends under the number is answered, or when the host ends. */
  protected request(send: (id: number) => void): Promise<Reply> {
    if (this.#ended) return Promise.reject(filterError('its host has ended'));
    const id = this.#nextId++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      send(id);
    });
  }

  /** Takes the answer to a request; numbers of none are ignored. */
  protected answer(id: number, reply: Reply, error: string | undefined): void {
    const waiting = this.#waiting.get(id);
    this.#waiting.delete(id);
    if (error === undefined) waiting?.resolve(reply);
    else waiting?.reject(filterError(outsideText(error)));
  }

  protected end(reason: string, final: boolean): void {
    if (this.#ended) return;
    // Plugins are given the token of the room, and may repeat it.
    const says = outsideText(reason);
    this.#release(says);
    this.events.onEnd(says, final);
  }

  #release(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.stop();
    for (const waiting of this.#waiting.values()) waiting.reject(filterError(reason));
    this.#waiting.clear();
  }
}

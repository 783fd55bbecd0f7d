import { limits } from '../limits.js';

/** Slots of the table of addresses in a filter's process. */
const maxStreams = limits.filterStreams.value;

/** Which stream a host knows by which number. A number that was freed is the last to be given again. */
export class StreamSlots<Stream> {
  #streams = new Map<number, Stream>();
  #next = 0;

  /** A number for the stream, or undefined when all are taken. */
  take(stream: Stream): number | undefined {
    for (let tries = 0; tries < maxStreams; tries++) {
      const slot = this.#next;
      this.#next = (slot + 1) % maxStreams;
      if (this.#streams.has(slot)) continue;
      this.#streams.set(slot, stream);
      return slot;
    }
    return undefined;
  }

  get(slot: number): Stream | undefined {
    return this.#streams.get(slot);
  }

  find(stream: Stream): number | undefined {
    for (const [slot, holder] of this.#streams) if (holder === stream) return slot;
    return undefined;
  }

  free(slot: number): void {
    this.#streams.delete(slot);
  }

  clear(): void {
    this.#streams.clear();
  }
}

import type { Delivery, LentBuffer } from '../wire.js' with { 'resolution-mode': 'import' };

/** An event as it comes out of a batch. */
type Event = Pick<Delivery, 'bytes' | 'to' | 'buffers'>;

const headerBytes = 16;
const bufferHeaderBytes = 24;
const firstBytes = 4_096;

const aligned = (offset: number) => (offset + 7) & ~7;

/**
 * Events on their way to the program, one after the other in one buffer that changes hands: a message between threads
 * costs more than to copy what most events carry.
 *
 * An event is its length, the number of its buffers and the handle that it is for (0: none), then address, handle,
 * length and kind of every buffer, then the bytes of the event and of every buffer, each at a multiple of eight.
 */
class EventBatch {
  #bytes = new Uint8Array(firstBytes);
  #view = new DataView(this.#bytes.buffer);
  #length = 0;
  /** The largest batch of late: the next begins with as much room. */
  #usualBytes = firstBytes;

  get length(): number {
    return this.#length;
  }

  /** Appends an event. Its bytes and those of its buffers are copied. */
  add({ bytes, to = 0, buffers = [] }: Delivery): void {
    let at = this.#length;
    let end = aligned(at + headerBytes + buffers.length * bufferHeaderBytes + bytes.length);
    for (const buffer of buffers) end = aligned(end + buffer.bytes.length);
    if (end > this.#bytes.length) this.#grow(end);
    const view = this.#view;
    view.setUint32(at, bytes.length, true);
    view.setUint32(at + 4, buffers.length, true);
    view.setFloat64(at + 8, to, true);
    at += headerBytes;
    for (const { address, handle, holds, bytes } of buffers) {
      view.setFloat64(at, address, true);
      view.setFloat64(at + 8, handle, true);
      view.setUint32(at + 16, bytes.length, true);
      view.setUint32(at + 20, holds === 'shared' ? 1 : 0, true);
      at += bufferHeaderBytes;
    }
    this.#bytes.set(bytes, at);
    at = aligned(at + bytes.length);
    for (const { bytes } of buffers) {
      this.#bytes.set(bytes, at);
      at = aligned(at + bytes.length);
    }
    this.#length = end;
  }

  /** What was added since the last time; its buffer may be transferred. */
  take(): Uint8Array {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#usualBytes = Math.max(firstBytes, this.#length, Math.floor(this.#usualBytes * 0.9));
    this.#bytes = new Uint8Array(this.#usualBytes);
    this.#view = new DataView(this.#bytes.buffer);
    this.#length = 0;
    return taken;
  }

  #grow(needed: number): void {
    const larger = new Uint8Array(Math.max(needed, this.#bytes.length * 2));
    larger.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = larger;
    this.#view = new DataView(larger.buffer);
  }

  /** The events of a batch, in order. Their bytes are views of the batch. */
  static *read(batch: Uint8Array): Generator<Event> {
    const view = new DataView(batch.buffer, batch.byteOffset, batch.byteLength);
    const bytesAt = (at: number, length: number) => batch.subarray(at, at + length);
    let at = 0;
    while (at < batch.length) {
      const length = view.getUint32(at, true);
      const count = view.getUint32(at + 4, true);
      const to = view.getFloat64(at + 8, true);
      let headerAt = at + headerBytes;
      at = headerAt + count * bufferHeaderBytes;
      const event: Event = { bytes: bytesAt(at, length) };
      if (to !== 0) event.to = to;
      at = aligned(at + length);
      if (count > 0) {
        const buffers: LentBuffer[] = [];
        for (; buffers.length < count; headerAt += bufferHeaderBytes) {
          const bytes = bytesAt(at, view.getUint32(headerAt + 16, true));
          buffers.push({
            address: view.getFloat64(headerAt, true),
            handle: view.getFloat64(headerAt + 8, true),
            holds: view.getUint32(headerAt + 20, true) === 1 ? 'shared' : 'own',
            bytes,
          });
          at = aligned(at + bytes.length);
        }
        event.buffers = buffers;
      }
      yield event;
    }
  }
}

export = EventBatch;

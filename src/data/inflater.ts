import { createInflateRaw, type InflateRaw } from 'node:zlib';
import { limits } from '../limits.js';

export interface InflaterEvents {
  /** Plain bytes, in the order in which they were compressed. */
  onBytes(bytes: Buffer): void;
  /** All bytes have been given out. */
  onEnd(): void;
  /** The bytes are not compressed as they should be, or are too many. Nothing follows. */
  onFailure(reason: string): void;
}

/** Unpacks the bytes of one stream (raw DEFLATE, RFC 1951) outside of this thread, as they come. */
export class Inflater {
  readonly #stream: InflateRaw = createInflateRaw();
  readonly #events: InflaterEvents;
  #leftBytes: number;
  #isOver = false;

  /** @param maxBytes of plain content, beyond which it fails: a few packed bytes may stand for gigabytes */
  constructor(maxBytes: number, events: InflaterEvents) {
    this.#leftBytes = maxBytes;
    this.#events = events;
    this.#stream.on('data', (bytes: Buffer) => {
      this.#leftBytes -= bytes.length;
      if (this.#leftBytes < 0) this.#fail(tooLong(maxBytes));
      else events.onBytes(bytes);
    });
    this.#stream.on('end', () => events.onEnd());
    this.#stream.on('error', (error) => this.#fail(`it cannot be decompressed: ${error.message}`));
  }

  write(bytes: Uint8Array): void {
    if (this.#isOver) return;
    if (this.#stream.writableLength + bytes.length > limits.unreadStreams.value)
      this.#fail(`more than ${limits.unreadStreams.value} bytes of it wait to be decompressed`);
    else this.#stream.write(bytes);
  }

  /** No more bytes come. */
  end(): void {
    if (!this.#isOver) this.#stream.end();
  }

  /** Nothing more is given out. */
  close(): void {
    this.#isOver = true;
    this.#stream.removeAllListeners('data').removeAllListeners('end');
    this.#stream.destroy();
  }

  #fail(reason: string): void {
    // A stream of Node.js that fails is destroyed before it says so.
    if (this.#isOver) return;
    this.close();
    this.#events.onFailure(reason);
  }
}

/** Why a stream ends that is longer than the program allows. */
export function tooLong(maxBytes: number): string {
  return `stream payload exceeds maximum size (${maxBytes} bytes)`;
}

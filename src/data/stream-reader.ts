import { OffhookError } from '../errors/index.js';
import type { ByteStreamInfo, TextStreamInfo } from './stream-info.js';

/** What all the streams of a room hold that nobody has read yet. */
export interface UnreadBytes {
  bytes: number;
}

/**
 * An incoming stream, read once: piece by piece as an async iterable, or whole. What arrives before somebody reads is
 * kept; `cancel` lets go of it.
 */
export abstract class StreamReader<Info extends TextStreamInfo | ByteStreamInfo, Piece> {
  readonly info: Info;
  readonly participantIdentity: string;
  #pieces: { piece: Piece; bytes: number }[] = [];
  #unreadBytes = 0;
  #unread: UnreadBytes;
  #wake: (() => void) | undefined;
  #ended = false;
  #error: OffhookError | undefined;
  #receivedBytes = 0;
  #attributes: Record<string, string>;
  #onCancel: () => void;

  constructor(
    info: Info,
    participantIdentity: string,
    onCancel: () => void,
    unread: UnreadBytes = { bytes: 0 },
  ) {
    this.info = info;
    this.#unread = unread;
    this.participantIdentity = participantIdentity;
    this.#attributes = info.attributes;
    this.#onCancel = onCancel;
  }

  /** The stream's attributes, with those that came at its end. */
  get attributes(): Readonly<Record<string, string>> {
    return this.#attributes;
  }

  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** 0 to 1; undefined when the sender did not say how long the stream is. */
  get progress(): number | undefined {
    const { totalLength } = this.info;
    if (totalLength === undefined) return undefined;
    return totalLength === 0 ? 1 : Math.min(1, this.#receivedBytes / totalLength);
  }

  /** @throws OffhookError `OFFHOOK_PROTOCOL` when the stream broke off or is incomplete. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Piece, void, void> {
    try {
      while (true) {
        const next = this.#pieces.shift();
        if (next !== undefined) {
          this.#countUnread(-next.bytes);
          yield next.piece;
          continue;
        }
        if (this.#error) throw this.#error;
        if (this.#ended) return;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      this.cancel();
    }
  }

  /** Stops receiving: what is buffered and what is still to come is dropped. */
  cancel(): void {
    if (this.#ended && this.#pieces.length === 0) return;
    this.#ended = true;
    this.#pieces = [];
    this.#countUnread(-this.#unreadBytes);
    this.#onCancel();
    this.#wake?.();
  }

  /** For the receiving side only: takes the content of one chunk. */
  push(content: Uint8Array): void {
    if (this.#ended) return;
    this.#receivedBytes += content.length;
    this.enqueue(this.decode(content), content.length);
  }

  /** For the receiving side only: the sender has closed the stream. */
  end(attributes: Record<string, string>): void {
    if (this.#ended) return;
    this.#attributes = { ...this.#attributes, ...attributes };
    this.flush();
    const { totalLength } = this.info;
    if (totalLength !== undefined && this.#receivedBytes !== totalLength) {
      this.fail(`it has ${this.#receivedBytes} bytes of ${totalLength}`);
      return;
    }
    this.#ended = true;
    this.#wake?.();
  }

  /** For the receiving side only: the stream will not be whole. */
  fail(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#error = new OffhookError(
      'OFFHOOK_PROTOCOL',
      `stream ${this.info.streamId} of ${this.participantIdentity} is incomplete: ${reason}`,
    );
    this.#wake?.();
  }

  protected abstract decode(content: Uint8Array): Piece | undefined;
  protected abstract flush(): void;

  protected enqueue(piece: Piece | undefined, bytes: number): void {
    if (piece === undefined) return;
    this.#pieces.push({ piece, bytes });
    this.#countUnread(bytes);
    this.#wake?.();
  }

  #countUnread(bytes: number): void {
    this.#unreadBytes += bytes;
    this.#unread.bytes += bytes;
  }
}

export class TextStreamReader extends StreamReader<TextStreamInfo, string> {
  #decoder = new TextDecoder();

  /** The whole text. */
  async readAll(): Promise<string> {
    let text = '';
    for await (const piece of this) text += piece;
    return text;
  }

  protected override decode(content: Uint8Array): string | undefined {
    return this.#decoder.decode(content, { stream: true }) || undefined;
  }

  protected override flush(): void {
    this.enqueue(this.#decoder.decode() || undefined, 0);
  }
}

export class ByteStreamReader extends StreamReader<ByteStreamInfo, Uint8Array> {
  /** All bytes of the stream. */
  async readAll(): Promise<Uint8Array> {
    const pieces: Uint8Array[] = [];
    for await (const piece of this) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  protected override decode(content: Uint8Array): Uint8Array | undefined {
    return content.length > 0 ? content : undefined;
  }

  protected override flush(): void {}
}

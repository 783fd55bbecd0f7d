import { DataStream_Chunk, DataStream_Trailer } from '@livekit/protocol';
import { OffhookError } from '../errors/index.js';
import type { PacketRouting, PacketSender } from './packet.js';
import { splitBytes, splitUtf8 } from './stream-chunks.js';
import type { ByteStreamInfo, TextStreamInfo } from './stream-info.js';

/** An outgoing stream whose header has been sent. Writes are sent in the order in which they are made. */
abstract class StreamWriter<Info extends TextStreamInfo | ByteStreamInfo> {
  readonly info: Info;
  #sender: PacketSender;
  #routing: PacketRouting;
  #chunks = 0;
  #closed = false;
  #last: Promise<void> = Promise.resolve();

  constructor(info: Info, sender: PacketSender, routing: PacketRouting) {
    this.info = info;
    this.#sender = sender;
    this.#routing = routing;
  }

  /**
   * Tells the other side that the stream is whole.
   *
   * @param options.reason why it ended early; none means that it is complete
   */
  async close(options: { reason?: string; attributes?: Record<string, string> } = {}): Promise<void> {
    if (this.#closed) throw this.#closedError();
    this.#closed = true;
    const { reason = '', attributes = {} } = options;
    await this.#inOrder(() =>
      this.#sender.send(
        {
          case: 'streamTrailer',
          value: new DataStream_Trailer({ streamId: this.info.streamId, reason, attributes }),
        },
        'reliable',
        this.#routing,
      ),
    );
  }

  /** Sends bytes as they are, as content that was compressed must be. */
  writeBytes(bytes: Uint8Array): Promise<void> {
    return this.writeChunks(splitBytes(bytes));
  }

  protected async writeChunks(contents: Iterable<Uint8Array>): Promise<void> {
    if (this.#closed) throw this.#closedError();
    await this.#inOrder(async () => {
      for (const content of contents) {
        const value = new DataStream_Chunk({
          streamId: this.info.streamId,
          chunkIndex: BigInt(this.#chunks++),
          content: content as Uint8Array<ArrayBuffer>,
        });
        await this.#sender.send({ case: 'streamChunk', value }, 'reliable', this.#routing);
      }
    });
  }

  #inOrder(act: () => Promise<void>): Promise<void> {
    const done = this.#last.then(act);
    this.#last = done.catch(() => {});
    return done;
  }

  #closedError(): OffhookError {
    return new OffhookError('OFFHOOK_CLOSED', `stream ${this.info.streamId} is closed`);
  }
}

export class TextStreamWriter extends StreamWriter<TextStreamInfo> {
  /** Resolves when the text has been handed over and little enough waits before it. */
  write(text: string): Promise<void> {
    return this.writeUtf8(Buffer.from(text, 'utf8'));
  }

  /** As `write`, of text that is encoded already. */
  writeUtf8(bytes: Uint8Array): Promise<void> {
    return this.writeChunks(splitUtf8(bytes));
  }
}

export class ByteStreamWriter extends StreamWriter<ByteStreamInfo> {
  /** Resolves when the bytes have been handed over and little enough waits before them. */
  write(bytes: Uint8Array): Promise<void> {
    return this.writeBytes(bytes);
  }
}

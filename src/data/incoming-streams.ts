import type { DataStream_Chunk, DataStream_Header, DataStream_Trailer } from '@livekit/protocol';
import { limits } from '../limits.js';
import { createLogger, type Logger, type LogSubject } from '../logging/index.js';
import { tooLong } from './inflater.js';
import { byteInfoOf, textInfoOf } from './stream-header.js';
import { streamKey } from './stream-key.js';
import { ByteStreamReader, TextStreamReader, type UnreadBytes } from './stream-reader.js';

const log = createLogger('data/streams');

interface OpenStream {
  reader: TextStreamReader | ByteStreamReader;
  participantIdentity: string;
  nextIndex: bigint;
}

export type OpenedStream =
  | { kind: 'text'; reader: TextStreamReader }
  | { kind: 'bytes'; reader: ByteStreamReader };

/** Puts incoming chunks together into streams. */
export class IncomingStreams {
  #open = new Map<string, OpenStream>();
  /** Open streams of each sender. */
  #counts = new Map<string, number>();
  #unread: UnreadBytes = { bytes: 0 };
  #maxBytes: number;
  #log: Logger;

  /** @param maxBytes of one stream; a longer one fails its reader */
  constructor(subject: LogSubject = {}, maxBytes: number = limits.streamPayload.value) {
    this.#maxBytes = maxBytes;
    this.#log = log.about(subject);
  }

  /** Begins a stream; undefined when the header is not usable. */
  header(participantIdentity: string, header: DataStream_Header): OpenedStream | undefined {
    const key = streamKey(participantIdentity, header.streamId);
    if (this.#open.has(key)) {
      this.#log.warn(`a second header of stream ${header.streamId} from ${participantIdentity} is ignored`);
      return undefined;
    }
    const count = this.#counts.get(participantIdentity) ?? 0;
    if (count >= limits.openStreams.value) {
      this.#log.warn(
        `stream ${header.streamId} from ${participantIdentity} is dropped: it has ${count} others open`,
      );
      return undefined;
    }
    const opened = this.#reader(participantIdentity, header, () => this.#forget(key));
    if (opened) {
      this.#open.set(key, { reader: opened.reader, participantIdentity, nextIndex: 0n });
      this.#counts.set(participantIdentity, count + 1);
      if ((opened.reader.info.totalLength ?? 0) > this.#maxBytes)
        this.#fail(key, opened.reader, tooLong(this.#maxBytes));
    }
    return opened;
  }

  /** Whether a stream is open, and its chunks are awaited. */
  has(participantIdentity: string, streamId: string): boolean {
    return this.#open.has(streamKey(participantIdentity, streamId));
  }

  /** Whether an open stream began encrypted; undefined for one that is not open. */
  isEncrypted(participantIdentity: string, streamId: string): boolean | undefined {
    return this.#open.get(streamKey(participantIdentity, streamId))?.reader.info.isEncrypted;
  }

  chunk(participantIdentity: string, { streamId, chunkIndex, content }: DataStream_Chunk): void {
    const key = streamKey(participantIdentity, streamId);
    const stream = this.#open.get(key);
    if (!stream) return;
    if (chunkIndex !== stream.nextIndex) {
      // A lower number is a chunk that came twice.
      if (chunkIndex < stream.nextIndex) return;
      this.#fail(key, stream.reader, `chunk ${stream.nextIndex} is missing`);
      return;
    }
    stream.nextIndex++;
    const { reader } = stream;
    const receivedBytes = reader.receivedBytes + content.length;
    if (receivedBytes > this.#maxBytes) this.#fail(key, reader, tooLong(this.#maxBytes));
    else if (receivedBytes > (reader.info.totalLength ?? receivedBytes))
      this.#fail(key, reader, `it has more than the ${reader.info.totalLength} bytes of its header`);
    else if (this.#unread.bytes + content.length > limits.unreadStreams.value)
      this.#fail(key, reader, `more than ${limits.unreadStreams.value} bytes of streams wait to be read`);
    else reader.push(content);
  }

  trailer(participantIdentity: string, { streamId, reason, attributes }: DataStream_Trailer): void {
    const key = streamKey(participantIdentity, streamId);
    const stream = this.#open.get(key);
    this.#forget(key);
    if (reason) stream?.reader.fail(`the sender ended it: ${reason}`);
    else stream?.reader.end(attributes);
  }

  /** The sender has left: its streams will stay incomplete. */
  participantLeft(participantIdentity: string): void {
    for (const [key, stream] of this.#open) {
      if (stream.participantIdentity !== participantIdentity) continue;
      this.#forget(key);
      stream.reader.fail('the sender left the room');
    }
  }

  /** The room is closed. */
  close(): void {
    for (const { reader } of this.#open.values()) reader.fail('the room was closed');
    this.#open.clear();
    this.#counts.clear();
  }

  #fail(key: string, reader: OpenStream['reader'], reason: string): void {
    this.#forget(key);
    reader.fail(reason);
  }

  #forget(key: string): void {
    const stream = this.#open.get(key);
    if (!stream) return;
    this.#open.delete(key);
    const count = this.#counts.get(stream.participantIdentity)! - 1;
    if (count === 0) this.#counts.delete(stream.participantIdentity);
    else this.#counts.set(stream.participantIdentity, count);
  }

  #reader(
    participantIdentity: string,
    header: DataStream_Header,
    onCancel: () => void,
  ): OpenedStream | undefined {
    const { case: kind, value } = header.contentHeader;
    if (kind === 'textHeader') {
      const info = textInfoOf(header, value);
      return {
        kind: 'text',
        reader: new TextStreamReader(info, participantIdentity, onCancel, this.#unread),
      };
    }
    if (kind === 'byteHeader') {
      const info = byteInfoOf(header, value);
      return {
        kind: 'bytes',
        reader: new ByteStreamReader(info, participantIdentity, onCancel, this.#unread),
      };
    }
    this.#log.warn(
      `stream ${header.streamId} from ${participantIdentity} is dropped: its header names neither text nor bytes`,
    );
    return undefined;
  }
}

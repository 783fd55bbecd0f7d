import type { DataStream_Chunk, DataStream_Header, DataStream_Trailer } from '@livekit/protocol';
import { limits } from '../limits.js';
import { createLogger, type Logger, type LogSubject } from '../logging/index.js';
import { byteInfoOf, textInfoOf } from './stream-header.js';
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
  #log: Logger;

  constructor(subject: LogSubject = {}) {
    this.#log = log.about(subject);
  }

  /** Begins a stream; undefined when the header is not usable. */
  header(participantIdentity: string, header: DataStream_Header): OpenedStream | undefined {
    const key = keyOf(participantIdentity, header.streamId);
    if (this.#open.has(key)) {
      this.#log.warn(`header: stream ${header.streamId} of ${participantIdentity} is open already`);
      return undefined;
    }
    const count = this.#counts.get(participantIdentity) ?? 0;
    if (count >= limits.openStreams.value) {
      this.#log.warn(
        `header: ${participantIdentity} has ${count} streams open; ${header.streamId} is dropped`,
      );
      return undefined;
    }
    const opened = this.#reader(participantIdentity, header, () => this.#forget(key));
    if (opened) {
      this.#open.set(key, { reader: opened.reader, participantIdentity, nextIndex: 0n });
      this.#counts.set(participantIdentity, count + 1);
    }
    return opened;
  }

  chunk(participantIdentity: string, { streamId, chunkIndex, content }: DataStream_Chunk): void {
    const key = keyOf(participantIdentity, streamId);
    const stream = this.#open.get(key);
    if (!stream) return;
    if (chunkIndex !== stream.nextIndex) {
      // A lower number is a chunk that came twice.
      if (chunkIndex < stream.nextIndex) return;
      this.#forget(key);
      stream.reader.fail(`chunk ${stream.nextIndex} is missing`);
      return;
    }
    stream.nextIndex++;
    if (this.#unread.bytes + content.length > limits.unreadStreams.value) {
      this.#forget(key);
      stream.reader.fail(`more than ${limits.unreadStreams.value} bytes of streams wait to be read`);
      return;
    }
    stream.reader.push(content);
  }

  trailer(participantIdentity: string, { streamId, reason, attributes }: DataStream_Trailer): void {
    const key = keyOf(participantIdentity, streamId);
    const stream = this.#open.get(key);
    this.#forget(key);
    if (reason) stream?.reader.fail(`the sender ended it: ${reason}`);
    else stream?.reader.end(attributes);
  }

  /** Whoever sent them has left: their streams will not be whole. */
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
    this.#log.warn(`header: stream ${header.streamId} of ${participantIdentity} has no kind`);
    return undefined;
  }
}

function keyOf(participantIdentity: string, streamId: string): string {
  return `${participantIdentity}\n${streamId}`;
}

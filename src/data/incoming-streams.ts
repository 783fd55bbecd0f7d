import type { DataStream_Chunk, DataStream_Header, DataStream_Trailer } from '@livekit/protocol';
import { createLogger } from '../timeline/index.js';
import { byteInfoOf, textInfoOf } from './stream-header.js';
import { ByteStreamReader, TextStreamReader } from './stream-reader.js';

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

  /** Begins a stream; undefined when the header is not usable. */
  header(participantIdentity: string, header: DataStream_Header): OpenedStream | undefined {
    const key = keyOf(participantIdentity, header.streamId);
    if (this.#open.has(key)) {
      log.warn(`header: stream ${header.streamId} of ${participantIdentity} is open already`);
      return undefined;
    }
    const opened = this.#reader(participantIdentity, header, () => this.#open.delete(key));
    if (opened) this.#open.set(key, { reader: opened.reader, participantIdentity, nextIndex: 0n });
    return opened;
  }

  chunk(participantIdentity: string, { streamId, chunkIndex, content }: DataStream_Chunk): void {
    const key = keyOf(participantIdentity, streamId);
    const stream = this.#open.get(key);
    if (!stream) return;
    if (chunkIndex !== stream.nextIndex) {
      // A lower number is a chunk that came twice.
      if (chunkIndex < stream.nextIndex) return;
      this.#open.delete(key);
      stream.reader.fail(`chunk ${stream.nextIndex} is missing`);
      return;
    }
    stream.nextIndex++;
    stream.reader.push(content);
  }

  trailer(participantIdentity: string, { streamId, reason, attributes }: DataStream_Trailer): void {
    const key = keyOf(participantIdentity, streamId);
    const stream = this.#open.get(key);
    this.#open.delete(key);
    if (reason) stream?.reader.fail(`the sender ended it: ${reason}`);
    else stream?.reader.end(attributes);
  }

  /** Whoever sent them has left: their streams will not be whole. */
  participantLeft(participantIdentity: string): void {
    for (const [key, stream] of this.#open) {
      if (stream.participantIdentity !== participantIdentity) continue;
      this.#open.delete(key);
      stream.reader.fail('the sender left the room');
    }
  }

  /** The room is closed. */
  close(): void {
    for (const { reader } of this.#open.values()) reader.fail('the room was closed');
    this.#open.clear();
  }

  #reader(
    participantIdentity: string,
    header: DataStream_Header,
    onCancel: () => void,
  ): OpenedStream | undefined {
    const { case: kind, value } = header.contentHeader;
    if (kind === 'textHeader') {
      const info = textInfoOf(header, value);
      return { kind: 'text', reader: new TextStreamReader(info, participantIdentity, onCancel) };
    }
    if (kind === 'byteHeader') {
      const info = byteInfoOf(header, value);
      return { kind: 'bytes', reader: new ByteStreamReader(info, participantIdentity, onCancel) };
    }
    log.warn(`header: stream ${header.streamId} of ${participantIdentity} has no kind`);
    return undefined;
  }
}

function keyOf(participantIdentity: string, streamId: string): string {
  return `${participantIdentity}\n${streamId}`;
}

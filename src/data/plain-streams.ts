import { constants, inflateRawSync } from 'node:zlib';
import {
  DataStream_Chunk,
  DataStream_CompressionType,
  DataStream_Header,
  DataStream_Trailer,
} from '@livekit/protocol';
import { limits } from '../limits.js';
import { createLogger, type Logger, type LogSubject } from '../logging/index.js';
import { Inflater, tooLong } from './inflater.js';
import type { PacketContent } from './packet.js';
import { splitUtf8 } from './stream-chunks.js';
import { streamKey } from './stream-key.js';
import { wholeCharacterBytes } from './utf8.js';

const log = createLogger('data/streams');

/** The packets of a stream. */
export type StreamPacket = Extract<
  PacketContent,
  { case: 'streamHeader' } | { case: 'streamChunk' } | { case: 'streamTrailer' }
>;

interface PackedStream {
  inflater: Inflater;
  participantIdentity: string;
  nextIndex: bigint;
  trailer: DataStream_Trailer | undefined;
}

/**
 * Unpacks streams whose content stands in their header, or is compressed (client protocol 2), into a header, chunks and
 * a trailer: what every reader of streams takes, also those that programs have written themselves. What is not packed
 * passes as it is.
 */
export class PlainStreams {
  readonly #maxBytes: number;
  readonly #deliver: (participantIdentity: string, packet: StreamPacket) => void;
  readonly #log: Logger;
  #packed = new Map<string, PackedStream>();

  /** @param maxBytes of a stream's plain content */
  constructor(
    maxBytes: number,
    deliver: (participantIdentity: string, packet: StreamPacket) => void,
    subject: LogSubject = {},
  ) {
    this.#maxBytes = maxBytes;
    this.#deliver = deliver;
    this.#log = log.about(subject);
  }

  handle(participantIdentity: string, packet: StreamPacket): void {
    if (packet.case === 'streamHeader') this.#header(participantIdentity, packet.value);
    else if (packet.case === 'streamChunk') this.#chunk(participantIdentity, packet.value);
    else this.#trailer(participantIdentity, packet.value);
  }

  participantLeft(participantIdentity: string): void {
    for (const [key, stream] of this.#packed) {
      if (stream.participantIdentity !== participantIdentity) continue;
      stream.inflater.close();
      this.#packed.delete(key);
    }
  }

  close(): void {
    for (const { inflater } of this.#packed.values()) inflater.close();
    this.#packed.clear();
  }

  #header(identity: string, header: DataStream_Header): void {
    const { compression, inlineContent, streamId } = header;
    const isCompressed = compression === DataStream_CompressionType.DEFLATE_RAW;
    if (!isCompressed && compression !== DataStream_CompressionType.NONE) {
      this.#log.warn(`stream ${streamId} from ${identity} is dropped: its compression is unknown`);
      return;
    }
    if (!isCompressed && inlineContent === undefined) {
      this.#deliver(identity, { case: 'streamHeader', value: header });
      return;
    }
    const key = streamKey(identity, streamId);
    if (this.#packed.has(key)) {
      this.#log.warn(`a second header of stream ${streamId} from ${identity} is ignored`);
      return;
    }
    if (this.#packed.size >= limits.openStreams.value) {
      this.#log.warn(
        `stream ${streamId} from ${identity} is dropped: ${this.#packed.size} compressed streams are open`,
      );
      return;
    }
    const { inlineContent: _inline, compression: _compression, ...plain } = header;
    this.#deliver(identity, { case: 'streamHeader', value: new DataStream_Header(plain) });
    if (inlineContent === undefined) this.#inflate(key, identity, header);
    else if (isCompressed) this.#inflateInline(key, identity, header, inlineContent);
    else this.#whole(identity, streamId, inlineContent);
  }

  #chunk(identity: string, chunk: DataStream_Chunk): void {
    const key = streamKey(identity, chunk.streamId);
    const stream = this.#packed.get(key);
    if (!stream) {
      this.#deliver(identity, { case: 'streamChunk', value: chunk });
      return;
    }
    if (chunk.chunkIndex < stream.nextIndex) return;
    if (chunk.chunkIndex > stream.nextIndex) {
      this.breakOff(identity, chunk.streamId, `chunk ${stream.nextIndex} is missing`);
      return;
    }
    stream.nextIndex++;
    stream.inflater.write(chunk.content);
  }

  #trailer(identity: string, trailer: DataStream_Trailer): void {
    const stream = this.#packed.get(streamKey(identity, trailer.streamId));
    if (!stream) {
      this.#deliver(identity, { case: 'streamTrailer', value: trailer });
    } else if (trailer.reason) {
      this.breakOff(identity, trailer.streamId, trailer.reason);
    } else {
      stream.trailer = trailer;
      stream.inflater.end();
    }
  }

  /** Content of a header is unpacked at once, so that messages stay in order, unless it is surprisingly long. */
  #inflateInline(key: string, identity: string, header: DataStream_Header, content: Uint8Array): void {
    const { streamId } = header;
    const maxOutputLength = Math.min(limits.inlineStream.value, this.#maxBytes);
    let plain: Buffer;
    try {
      plain = inflateRawSync(content, { maxOutputLength, finishFlush: constants.Z_FINISH });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ERR_BUFFER_TOO_LARGE') {
        this.#fail(identity, streamId, `it cannot be decompressed: ${(error as Error).message}`);
      } else if (this.#maxBytes <= limits.inlineStream.value) {
        this.#fail(identity, streamId, tooLong(this.#maxBytes));
      } else {
        const stream = this.#inflate(key, identity, header);
        stream.trailer = new DataStream_Trailer({ streamId });
        stream.inflater.write(content);
        stream.inflater.end();
      }
      return;
    }
    this.#whole(identity, streamId, plain);
  }

  #inflate(key: string, identity: string, { streamId, contentHeader }: DataStream_Header): PackedStream {
    const isText = contentHeader.case === 'textHeader';
    let carried: Buffer = Buffer.alloc(0);
    let chunkIndex = 0n;
    const send = (bytes: Uint8Array) => {
      if (bytes.length > 0) this.#sendChunk(identity, streamId, chunkIndex++, bytes);
    };
    const inflater = new Inflater(this.#maxBytes, {
      onBytes: (bytes) => {
        // Readers may decode each chunk on its own.
        const all = carried.length > 0 ? Buffer.concat([carried, bytes]) : bytes;
        const end = isText ? wholeCharacterBytes(all) : all.length;
        carried = all.subarray(end);
        send(all.subarray(0, end));
      },
      onEnd: () => {
        send(carried);
        this.#packed.delete(key);
        this.#deliver(identity, {
          case: 'streamTrailer',
          value: stream.trailer ?? new DataStream_Trailer({ streamId }),
        });
      },
      onFailure: (reason) => this.breakOff(identity, streamId, reason),
    });
    const stream: PackedStream = {
      inflater,
      participantIdentity: identity,
      nextIndex: 0n,
      trailer: undefined,
    };
    this.#packed.set(key, stream);
    return stream;
  }

  /** A stream all of whose content is there. */
  #whole(identity: string, streamId: string, content: Uint8Array): void {
    let chunkIndex = 0n;
    for (const piece of splitUtf8(content)) this.#sendChunk(identity, streamId, chunkIndex++, piece);
    this.#deliver(identity, { case: 'streamTrailer', value: new DataStream_Trailer({ streamId }) });
  }

  #sendChunk(identity: string, streamId: string, chunkIndex: bigint, content: Uint8Array): void {
    const value = new DataStream_Chunk({
      streamId,
      chunkIndex,
      content: content as Uint8Array<ArrayBuffer>,
    });
    this.#deliver(identity, { case: 'streamChunk', value });
  }

  /** Fails a stream for its reader. */
  breakOff(identity: string, streamId: string, reason: string): void {
    const key = streamKey(identity, streamId);
    this.#packed.get(key)?.inflater.close();
    this.#packed.delete(key);
    this.#fail(identity, streamId, reason);
  }

  #fail(identity: string, streamId: string, reason: string): void {
    this.#deliver(identity, {
      case: 'streamTrailer',
      value: new DataStream_Trailer({ streamId, reason }),
    });
  }
}

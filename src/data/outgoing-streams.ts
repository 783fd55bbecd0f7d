import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { createDeflateRaw, deflateRaw } from 'node:zlib';
import { DataStream_CompressionType, type DataStream_Header } from '@livekit/protocol';
import { OffhookError } from '../errors/index.js';
import type { PacketRouting, PacketSender } from './packet.js';
import { chunkBytes } from './stream-chunks.js';
import { byteHeader, textHeader } from './stream-header.js';
import type { ByteStreamInfo, ByteStreamOptions, TextStreamInfo, TextStreamOptions } from './stream-info.js';
import { ByteStreamWriter, TextStreamWriter } from './stream-writer.js';

/** What all receivers of a stream can read. */
export interface ReceiverAbilities {
  /** Content in the header of a stream. */
  inline: boolean;
  /** Content that is compressed. */
  compression: boolean;
}

/** What a stream to these identities, to all without any, may use. */
export type AbilitiesOf = (destinationIdentities: readonly string[]) => ReceiverAbilities;

const deflate = promisify(deflateRaw);
/** Less than this is sent as it is: the time to compress it is worth more than the bytes. */
const minCompressedBytes = 1_024;

type Compressible = Pick<TextStreamOptions, 'compress'>;

/** Opens streams to others, and sends what is whole already. */
export class OutgoingStreams {
  #sender: PacketSender;
  #abilitiesOf: AbilitiesOf;
  #random: () => string;
  #nowMs: () => number;

  constructor(
    sender: PacketSender,
    abilitiesOf: AbilitiesOf = () => ({ inline: false, compression: false }),
    random: () => string = randomUUID,
    nowMs: () => number = Date.now,
  ) {
    this.#sender = sender;
    this.#abilitiesOf = abilitiesOf;
    this.#random = random;
    this.#nowMs = nowMs;
  }

  async openText(options: TextStreamOptions): Promise<TextStreamWriter> {
    const { header, info } = textHeader(options, this.#fresh());
    await this.#sendHeader(header, options);
    return new TextStreamWriter(info, this.#sender, options);
  }

  async openBytes(options: ByteStreamOptions): Promise<ByteStreamWriter> {
    const { header, info } = byteHeader(options, this.#fresh());
    await this.#sendHeader(header, options);
    return new ByteStreamWriter(info, this.#sender, options);
  }

  async sendText(text: string, options: TextStreamOptions): Promise<TextStreamInfo> {
    const bytes = Buffer.from(text, 'utf8');
    const { header, info } = textHeader(options, { ...this.#fresh(), totalLength: bytes.length });
    const abilities = this.#abilities(options);
    const compressed = await this.#compress(header, bytes, options, abilities);
    // The attachments of a text are streams of their own, which the receiver relates to chunks of this one.
    const isInline = abilities.inline && !options.attachedStreamIds?.length;
    if (isInline && (await this.#sendInline(header, compressed ?? bytes, options))) return info;
    await this.#sendHeader(header, options);
    const writer = new TextStreamWriter(info, this.#sender, options);
    await (compressed ? writer.writeBytes(compressed) : writer.writeUtf8(bytes));
    await writer.close();
    return info;
  }

  async sendBytes(bytes: Uint8Array, options: ByteStreamOptions): Promise<ByteStreamInfo> {
    const { header, info } = byteHeader({ ...options, totalLength: bytes.length }, this.#fresh());
    const abilities = this.#abilities(options);
    const compressed = await this.#compress(header, bytes, options, abilities);
    if (abilities.inline && (await this.#sendInline(header, compressed ?? bytes, options))) return info;
    await this.#sendHeader(header, options);
    const writer = new ByteStreamWriter(info, this.#sender, options);
    await writer.write(compressed ?? bytes);
    await writer.close();
    return info;
  }

  /** @throws OffhookError `OFFHOOK_INVALID_REQUEST` when the file cannot be read */
  async sendFile(path: string, options: ByteStreamOptions): Promise<ByteStreamInfo> {
    const { size } = await stat(path).catch((cause) => {
      throw unreadable(path, cause);
    });
    const { header, info } = byteHeader(
      { name: basename(path), ...options, totalLength: size },
      this.#fresh(),
    );
    const isCompressed = compresses(size, options, this.#abilities(options));
    if (isCompressed) header.compression = DataStream_CompressionType.DEFLATE_RAW;
    await this.#sendHeader(header, options);
    const writer = new ByteStreamWriter(info, this.#sender, options);
    const send = async (pieces: AsyncIterable<Buffer>) => {
      for await (const piece of pieces) await writer.write(piece);
    };
    try {
      const file = createReadStream(path);
      await (isCompressed ? pipeline(file, createDeflateRaw(), send) : pipeline(file, send));
    } catch (cause) {
      await writer.close({ reason: 'error' });
      throw cause instanceof OffhookError ? cause : unreadable(path, cause);
    }
    await writer.close();
    return info;
  }

  /** The content compressed, where that makes it shorter and all receivers can read it; the header says so then. */
  async #compress(
    header: DataStream_Header,
    bytes: Uint8Array,
    options: Compressible,
    abilities: ReceiverAbilities,
  ): Promise<Uint8Array | undefined> {
    if (!compresses(bytes.length, options, abilities)) return undefined;
    const compressed = await deflate(bytes);
    if (compressed.length >= bytes.length) return undefined;
    header.compression = DataStream_CompressionType.DEFLATE_RAW;
    return compressed;
  }

  #abilities({ destinationIdentities = [] }: PacketRouting): ReceiverAbilities {
    return this.#abilitiesOf(destinationIdentities);
  }

  /** Sends content and header as one packet, where that is small enough. */
  async #sendInline(
    header: DataStream_Header,
    content: Uint8Array,
    routing: PacketRouting,
  ): Promise<boolean> {
    const { destinationIdentities = [] } = routing;
    if (content.length > chunkBytes) return false;
    header.inlineContent = content as Uint8Array<ArrayBuffer>;
    const identityBytes = destinationIdentities.reduce((sum, each) => sum + Buffer.byteLength(each) + 3, 0);
    if (header.toBinary().length + identityBytes > chunkBytes) {
      delete header.inlineContent;
      return false;
    }
    await this.#sendHeader(header, routing);
    return true;
  }

  #fresh() {
    return {
      streamId: this.#random(),
      timestampMs: this.#nowMs(),
      isEncrypted: this.#sender.encryptsStreams ?? false,
    };
  }

  #sendHeader(header: DataStream_Header, routing: PacketRouting): Promise<void> {
    return this.#sender.send({ case: 'streamHeader', value: header }, 'reliable', routing);
  }
}

function compresses(
  byteCount: number,
  { compress }: Compressible,
  { compression }: ReceiverAbilities,
): boolean {
  return compress !== false && byteCount >= minCompressedBytes && compression;
}

function unreadable(path: string, cause: unknown): OffhookError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new OffhookError('OFFHOOK_INVALID_REQUEST', `file ${path} cannot be read: ${reason}`, { cause });
}

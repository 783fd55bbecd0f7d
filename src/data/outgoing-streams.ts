import { randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { basename } from 'node:path';
import type { DataStream_Header } from '@livekit/protocol';
import { OffhookError } from '../errors/index.js';
import type { PacketRouting, PacketSender } from './packet.js';
import { byteHeader, textHeader } from './stream-header.js';
import type { ByteStreamInfo, ByteStreamOptions, TextStreamInfo, TextStreamOptions } from './stream-info.js';
import { ByteStreamWriter, TextStreamWriter } from './stream-writer.js';

/** Opens streams to others, and sends what is whole already. */
export class OutgoingStreams {
  #sender: PacketSender;
  #random: () => string;
  #nowMs: () => number;

  constructor(sender: PacketSender, random: () => string = randomUUID, nowMs: () => number = Date.now) {
    this.#sender = sender;
    this.#random = random;
    this.#nowMs = nowMs;
  }

  async openText(options: TextStreamOptions, totalLength?: number): Promise<TextStreamWriter> {
    const fresh = { streamId: this.#random(), timestampMs: this.#nowMs() };
    const { header, info } = textHeader(
      options,
      totalLength === undefined ? fresh : { ...fresh, totalLength },
    );
    await this.#sendHeader(header, options);
    return new TextStreamWriter(info, this.#sender, options);
  }

  async openBytes(options: ByteStreamOptions): Promise<ByteStreamWriter> {
    const { header, info } = byteHeader(options, { streamId: this.#random(), timestampMs: this.#nowMs() });
    await this.#sendHeader(header, options);
    return new ByteStreamWriter(info, this.#sender, options);
  }

  async sendText(text: string, options: TextStreamOptions): Promise<TextStreamInfo> {
    const writer = await this.openText(options, Buffer.byteLength(text));
    await writer.write(text);
    await writer.close();
    return writer.info;
  }

  async sendBytes(bytes: Uint8Array, options: ByteStreamOptions): Promise<ByteStreamInfo> {
    const writer = await this.openBytes({ ...options, totalLength: bytes.length });
    await writer.write(bytes);
    await writer.close();
    return writer.info;
  }

  /** @throws OffhookError `OFFHOOK_INVALID_REQUEST` when the file cannot be read */
  async sendFile(path: string, options: ByteStreamOptions): Promise<ByteStreamInfo> {
    const { size } = await stat(path).catch((cause) => {
      throw unreadable(path, cause);
    });
    const writer = await this.openBytes({ name: basename(path), ...options, totalLength: size });
    try {
      for await (const piece of createReadStream(path)) await writer.write(piece as Buffer);
    } catch (cause) {
      await writer.close({ reason: 'error' });
      throw cause instanceof OffhookError ? cause : unreadable(path, cause);
    }
    await writer.close();
    return writer.info;
  }

  #sendHeader(header: DataStream_Header, routing: PacketRouting): Promise<void> {
    return this.#sender.send({ case: 'streamHeader', value: header }, 'reliable', routing);
  }
}

function unreadable(path: string, cause: unknown): OffhookError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new OffhookError('OFFHOOK_INVALID_REQUEST', `file ${path} cannot be read: ${reason}`, { cause });
}

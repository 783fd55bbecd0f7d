import {
  DataStream_ByteHeader,
  DataStream_Header,
  DataStream_OperationType,
  DataStream_TextHeader,
  Encryption_Type,
} from '@livekit/protocol';
import type { ByteStreamInfo, ByteStreamOptions, TextStreamInfo, TextStreamOptions } from './stream-info.js';

/** What is new with each stream. */
interface Fresh {
  streamId: string;
  timestampMs: number;
  isEncrypted: boolean;
}

/** @param totalLength in bytes, where the whole text is known */
export function textHeader(
  options: TextStreamOptions,
  fresh: Fresh & { totalLength?: number },
): { header: DataStream_Header; info: TextStreamInfo } {
  const value = new DataStream_TextHeader({
    operationType: options.operationType ?? DataStream_OperationType.CREATE,
    version: options.version ?? 0,
    replyToStreamId: options.replyToStreamId ?? '',
    attachedStreamIds: [...(options.attachedStreamIds ?? [])],
    generated: options.generated ?? false,
  });
  const header = new DataStream_Header({
    streamId: options.streamId ?? fresh.streamId,
    timestamp: BigInt(fresh.timestampMs),
    topic: options.topic ?? '',
    encryptionType: fresh.isEncrypted ? Encryption_Type.GCM : Encryption_Type.NONE,
    mimeType: 'text/plain',
    attributes: options.attributes ?? {},
    ...(fresh.totalLength === undefined ? {} : { totalLength: BigInt(fresh.totalLength) }),
    contentHeader: { case: 'textHeader', value },
  });
  return { header, info: textInfoOf(header, value) };
}

export function byteHeader(
  options: ByteStreamOptions,
  fresh: Fresh,
): { header: DataStream_Header; info: ByteStreamInfo } {
  const value = new DataStream_ByteHeader({ name: options.name ?? 'unknown' });
  const header = new DataStream_Header({
    streamId: options.streamId ?? fresh.streamId,
    timestamp: BigInt(fresh.timestampMs),
    topic: options.topic ?? '',
    encryptionType: fresh.isEncrypted ? Encryption_Type.GCM : Encryption_Type.NONE,
    mimeType: options.mimeType ?? 'application/octet-stream',
    attributes: options.attributes ?? {},
    ...(options.totalLength === undefined ? {} : { totalLength: BigInt(options.totalLength) }),
    contentHeader: { case: 'byteHeader', value },
  });
  return { header, info: byteInfoOf(header, value) };
}

export function textInfoOf(header: DataStream_Header, text: DataStream_TextHeader): TextStreamInfo {
  return {
    ...commonInfo(header),
    operationType: text.operationType,
    version: text.version,
    replyToStreamId: text.replyToStreamId || undefined,
    attachedStreamIds: text.attachedStreamIds,
    generated: text.generated,
  };
}

export function byteInfoOf(header: DataStream_Header, bytes: DataStream_ByteHeader): ByteStreamInfo {
  return { ...commonInfo(header), name: bytes.name };
}

function commonInfo(header: DataStream_Header) {
  return {
    streamId: header.streamId,
    timestampMs: Number(header.timestamp),
    mimeType: header.mimeType,
    topic: header.topic,
    totalLength: header.totalLength === undefined ? undefined : Number(header.totalLength),
    attributes: header.attributes,
    isEncrypted: header.encryptionType !== Encryption_Type.NONE,
  };
}

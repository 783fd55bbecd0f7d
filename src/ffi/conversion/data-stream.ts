import {
  DataStream_ByteHeader,
  DataStream_Chunk,
  DataStream_Header,
  DataStream_TextHeader,
  DataStream_Trailer,
} from '@livekit/protocol';
import type {
  ByteStreamInfo as FfiByteStreamInfo,
  TextStreamInfo as FfiTextStreamInfo,
  StreamByteOptions,
  StreamTextOptions,
} from '@livekit/rtc-ffi-bindings/proto/data_stream_pb.js';
import type {
  DataStream_Chunk as FfiChunk,
  DataStream_Header as FfiHeader,
  DataStream_Trailer as FfiTrailer,
} from '@livekit/rtc-ffi-bindings/proto/room_pb.js';
import type {
  ByteStreamInfo,
  ByteStreamOptions,
  TextStreamInfo,
  TextStreamOptions,
} from '../../data/index.js';
import type { InitOf } from '../messages.js';
import { EncryptionType } from '../protocol.js';
import { toInt64 } from './integers.js';

const optionalInt64 = (value: number | undefined) => (value === undefined ? undefined : toInt64(value));

function toFfiStream(info: TextStreamInfo | ByteStreamInfo) {
  return {
    streamId: info.streamId,
    timestamp: toInt64(info.timestampMs),
    mimeType: info.mimeType,
    topic: info.topic,
    totalLength: optionalInt64(info.totalLength),
    attributes: { ...info.attributes },
    encryptionType: info.isEncrypted ? EncryptionType.GCM : EncryptionType.NONE,
  };
}

export function toFfiTextStream(info: TextStreamInfo): InitOf<FfiTextStreamInfo> {
  return {
    ...toFfiStream(info),
    operationType: info.operationType as number,
    version: info.version,
    replyToStreamId: info.replyToStreamId,
    attachedStreamIds: [...info.attachedStreamIds],
    generated: info.generated,
  };
}

export function toFfiByteStream(info: ByteStreamInfo): InitOf<FfiByteStreamInfo> {
  return { ...toFfiStream(info), name: info.name };
}

/** What text and byte streams have in common. */
function fromFfiStreamOptions(options: StreamTextOptions | StreamByteOptions | undefined) {
  return {
    topic: options?.topic ?? '',
    attributes: options?.attributes ?? {},
    destinationIdentities: options?.destinationIdentities ?? [],
    senderIdentity: options?.senderIdentity,
    streamId: options?.id,
    compress: options?.compress,
  };
}

export function fromFfiTextOptions(options: StreamTextOptions | undefined): TextStreamOptions {
  return {
    ...fromFfiStreamOptions(options),
    operationType: options?.operationType as number | undefined,
    version: options?.version,
    replyToStreamId: options?.replyToStreamId,
    attachedStreamIds: options?.attachedStreamIds ?? [],
    generated: options?.generated,
  };
}

export function fromFfiByteOptions(options: StreamByteOptions | undefined): ByteStreamOptions {
  return {
    ...fromFfiStreamOptions(options),
    name: options?.name,
    mimeType: options?.mimeType,
    totalLength: options?.totalLength === undefined ? undefined : Number(options.totalLength),
  };
}

export function fromFfiHeader(header: FfiHeader): DataStream_Header {
  const { streamId, timestamp, mimeType, topic, totalLength, attributes, contentHeader } = header;
  return new DataStream_Header({
    streamId,
    timestamp,
    mimeType,
    topic,
    totalLength,
    attributes,
    contentHeader:
      contentHeader.case === 'byteHeader'
        ? { case: 'byteHeader', value: new DataStream_ByteHeader({ name: contentHeader.value.name }) }
        : { case: 'textHeader', value: fromFfiTextHeader(contentHeader.value) },
  });
}

function fromFfiTextHeader(header: FfiHeader['contentHeader']['value']): DataStream_TextHeader {
  if (!header || !('operationType' in header)) return new DataStream_TextHeader();
  return new DataStream_TextHeader({
    operationType: header.operationType as number | undefined,
    version: header.version,
    replyToStreamId: header.replyToStreamId,
    attachedStreamIds: header.attachedStreamIds,
    generated: header.generated,
  });
}

export function fromFfiChunk(chunk: FfiChunk): DataStream_Chunk {
  const { streamId, chunkIndex, content, version, iv } = chunk;
  return new DataStream_Chunk({
    streamId,
    chunkIndex,
    content: content as Uint8Array<ArrayBuffer> | undefined,
    version,
    iv: iv as Uint8Array<ArrayBuffer> | undefined,
  });
}

export function fromFfiTrailer({ streamId, reason, attributes }: FfiTrailer): DataStream_Trailer {
  return new DataStream_Trailer({ streamId, reason, attributes });
}

export function toFfiHeader(header: DataStream_Header): InitOf<FfiHeader> {
  const { contentHeader } = header;
  return {
    streamId: header.streamId,
    timestamp: header.timestamp,
    mimeType: header.mimeType,
    topic: header.topic,
    totalLength: header.totalLength,
    attributes: header.attributes,
    contentHeader:
      contentHeader.case === 'byteHeader'
        ? { case: 'byteHeader', value: { name: contentHeader.value.name } }
        : { case: 'textHeader', value: toFfiTextHeader(contentHeader.value) },
  };
}

function toFfiTextHeader(header: DataStream_TextHeader | undefined) {
  return {
    operationType: (header?.operationType ?? 0) as number,
    version: header?.version,
    replyToStreamId: header?.replyToStreamId,
    attachedStreamIds: header?.attachedStreamIds ?? [],
    generated: header?.generated,
  };
}

export function toFfiChunk({ streamId, chunkIndex, content, version }: DataStream_Chunk): InitOf<FfiChunk> {
  return { streamId, chunkIndex, content, version };
}

export function toFfiTrailer({ streamId, reason, attributes }: DataStream_Trailer): InitOf<FfiTrailer> {
  return { streamId, reason, attributes };
}

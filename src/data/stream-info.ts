import type { DataStream_OperationType } from '@livekit/protocol';

interface StreamInfo {
  streamId: string;
  /** Milliseconds since 1970. */
  timestampMs: number;
  mimeType: string;
  topic: string;
  /** In bytes; undefined while the sender does not know it. */
  totalLength: number | undefined;
  attributes: Record<string, string>;
  /** End to end, by the key of the room. */
  isEncrypted: boolean;
}

export interface TextStreamInfo extends StreamInfo {
  operationType: DataStream_OperationType;
  version: number;
  replyToStreamId: string | undefined;
  attachedStreamIds: string[];
  /** Whether the text was generated, e.g. transcribed by an agent. */
  generated: boolean;
}

export interface ByteStreamInfo extends StreamInfo {
  name: string;
}

interface StreamOptions {
  topic?: string;
  attributes?: Record<string, string>;
  destinationIdentities?: readonly string[];
  senderIdentity?: string;
  /** Default: a random one. */
  streamId?: string;
  /** Whether what is sent whole may be compressed where all receivers can decompress it; default true. */
  compress?: boolean;
}

export interface TextStreamOptions extends StreamOptions {
  operationType?: DataStream_OperationType;
  version?: number;
  replyToStreamId?: string;
  attachedStreamIds?: readonly string[];
  generated?: boolean;
}

export interface ByteStreamOptions extends StreamOptions {
  /** Default `unknown`. */
  name?: string;
  /** Default `application/octet-stream`. */
  mimeType?: string;
  totalLength?: number;
}

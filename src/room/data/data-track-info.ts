import {
  DataTrackFrameEncoding,
  type DataTrackInfo as DataTrackMessage,
  DataTrackSchemaId,
  Encryption_Type,
} from '@livekit/protocol';
import { isTrackHandle } from '../../data/index.js';

/** What is known of a data track. */
export interface DataTrackInfo {
  /** The server gives it another one when its publisher reconnects. */
  sid: string;
  name: string;
  isEncrypted: boolean;
  /** Describes its frames; its definition is what `getSchema` returns. */
  schema: DataTrackSchemaId | undefined;
  frameEncoding: DataTrackFrameEncoding | undefined;
  /** The publisher's number for it. */
  handle: number;
}

/** Undefined for a message that no track can be made of. */
export function toDataTrackInfo(message: DataTrackMessage): DataTrackInfo | undefined {
  const { sid, name, encryption, schema, frameEncoding, pubHandle: handle } = message;
  const isKnownCipher = encryption === Encryption_Type.NONE || encryption === Encryption_Type.GCM;
  if (!sid.startsWith('DTR_') || !isTrackHandle(handle) || !isKnownCipher) return undefined;
  return { sid, name, isEncrypted: encryption === Encryption_Type.GCM, schema, frameEncoding, handle };
}

/** Whether this is the same track, published again in another session of its publisher. */
export function isSameDataTrack(one: DataTrackInfo, other: DataTrackInfo): boolean {
  return (
    one.handle === other.handle &&
    one.name === other.name &&
    one.isEncrypted === other.isEncrypted &&
    DataTrackSchemaId.equals(one.schema, other.schema) &&
    DataTrackFrameEncoding.equals(one.frameEncoding, other.frameEncoding)
  );
}

import {
  type DataTrackSchemaId,
  DataTrackFrameEncoding_WellKnownFrameEncoding as FrameEncoding,
  type DataTrackFrameEncoding as FrameEncodingMessage,
  DataTrackSchemaEncoding_WellKnownSchemaEncoding as SchemaEncoding,
} from '@livekit/protocol';
import { DataTrackError } from './error.js';

/** The schemas that describe frames of each encoding. */
const describedBy: Partial<Record<FrameEncoding, readonly SchemaEncoding[]>> = {
  [FrameEncoding.ROS1]: [SchemaEncoding.ROS1_MSG],
  [FrameEncoding.CDR]: [SchemaEncoding.ROS2_MSG, SchemaEncoding.ROS2_IDL, SchemaEncoding.OMG_IDL],
  [FrameEncoding.PROTOBUF]: [SchemaEncoding.PROTOBUF],
  [FrameEncoding.FLATBUFFER]: [SchemaEncoding.FLATBUFFER],
  [FrameEncoding.JSON]: [SchemaEncoding.JSON_SCHEMA],
  [FrameEncoding.CBOR]: [],
  [FrameEncoding.MSGPACK]: [],
};

/** Encodings that can be read without a schema. */
const selfDescribing: readonly FrameEncoding[] = [
  FrameEncoding.CBOR,
  FrameEncoding.MSGPACK,
  FrameEncoding.JSON,
];

/**
 * Whether the encoding of a track's frames and its schema fit, as far as they are of well-known kinds.
 *
 * @throws DataTrackError `invalidSchema`
 */
export function checkTrackSchema(
  frameEncoding: FrameEncodingMessage | undefined,
  schema: DataTrackSchemaId | undefined,
): void {
  if (!frameEncoding) {
    if (schema) throw new DataTrackError('invalidSchema', 'a schema needs the encoding of the frames');
    return;
  }
  const { value } = frameEncoding;
  const encoding = value.case === 'wellKnown' ? value.value : FrameEncoding.UNSPECIFIED;
  const fitting = describedBy[encoding];
  if (!fitting) return;
  if (!schema) {
    if (selfDescribing.includes(encoding)) return;
    throw new DataTrackError('invalidSchema', 'frames of this encoding cannot be read without a schema');
  }
  const described = schema.encoding?.value;
  if (described?.case === 'wellKnown' && fitting.includes(described.value)) return;
  throw new DataTrackError('invalidSchema', 'frames of this encoding cannot be described by this schema');
}

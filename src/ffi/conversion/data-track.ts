import { DataTrackFrameEncoding, DataTrackSchemaEncoding, DataTrackSchemaId } from '@livekit/protocol';
import type {
  DataTrackInfo as FfiDataTrackInfo,
  DataTrackFrameEncoding as FfiFrameEncoding,
  DataTrackSchemaId as FfiSchemaId,
} from '@livekit/rtc-ffi-bindings/proto/data_track_pb.js';
import type { DataTrackInfo } from '../../room/index.js';
import type { InitOf } from '../messages.js';

/** Both protocols name and number the encodings alike. */
type Encoding =
  | { case: 'wellKnown'; value: number }
  | { case: 'custom'; value: string }
  | { case: undefined; value?: undefined };

const unknownEncoding = { case: 'wellKnown', value: 0 } as const;
const known = (encoding: Encoding) => (encoding.case === undefined ? unknownEncoding : encoding);

export function fromFfiFrameEncoding({ encoding }: FfiFrameEncoding): DataTrackFrameEncoding {
  return new DataTrackFrameEncoding({ value: known(encoding as Encoding) });
}

export function fromFfiSchemaId(id: FfiSchemaId | undefined): DataTrackSchemaId {
  const value = known((id?.encoding?.encoding ?? unknownEncoding) as Encoding);
  return new DataTrackSchemaId({ name: id?.name ?? '', encoding: new DataTrackSchemaEncoding({ value }) });
}

export function toFfiDataTrack(info: DataTrackInfo): InitOf<FfiDataTrackInfo> {
  const { sid, name, isEncrypted: usesE2ee, schema, frameEncoding } = info;
  return {
    sid,
    name,
    usesE2ee,
    ...(schema && {
      schema: { name: schema.name, encoding: { encoding: known(schema.encoding?.value ?? unknownEncoding) } },
    }),
    ...(frameEncoding && { frameEncoding: { encoding: known(frameEncoding.value) } }),
  };
}

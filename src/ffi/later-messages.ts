import { type Message, type MessageType, proto2, ScalarType } from '@bufbuild/protobuf';
import { describeError, OffhookError } from '../errors/index.js';

/* Messages of FFI 0.12.80 to 0.13.2, which the bindings that this package uses do not have. */

// biome-ignore lint/suspicious/noExplicitAny: fields of messages that are made at run time.
type Content = any;
type Fields = Parameters<typeof proto2.makeMessageType>[1];
const message = (name: string, fields: Fields = []) => proto2.makeMessageType(`offhook.${name}`, fields);
const scalar = (no: number, name: string, T: ScalarType) =>
  ({ no, name, kind: 'scalar', T, opt: true }) as const;
const { UINT64, INT64, UINT32, STRING, BOOL, DOUBLE, BYTES } = ScalarType;

const EncodedBuffer = message('EncodedVideoBufferInfo', [
  scalar(1, 'data_ptr', UINT64),
  scalar(2, 'data_len', UINT64),
]);
const FrameMetadata = message('FrameMetadata', [
  scalar(1, 'user_timestamp', UINT64),
  scalar(2, 'frame_id', UINT32),
  scalar(3, 'user_data', BYTES),
]);
export const CaptureEncoded = message('CaptureEncodedVideoFrameRequest', [
  scalar(1, 'source_handle', UINT64),
  { no: 2, name: 'buffer', kind: 'message', T: EncodedBuffer, opt: true },
  // Enumerations: VideoCodec, and EncodedFrameType (0 is a key frame).
  scalar(3, 'codec', UINT32),
  scalar(4, 'frame_type', UINT32),
  scalar(5, 'width', UINT32),
  scalar(6, 'height', UINT32),
  scalar(7, 'timestamp_us', INT64),
  { no: 8, name: 'metadata', kind: 'message', T: FrameMetadata, opt: true },
]);
export const Accepted = message('CaptureEncodedVideoFrameResponse', [scalar(1, 'accepted', BOOL)]);
export const TakeFeedback = message('TakeEncodedVideoSourceFeedbackRequest', [
  scalar(1, 'source_handle', UINT64),
]);
export const RateControl = message('EncodedRateControl', [
  scalar(1, 'target_bitrate_bps', UINT64),
  scalar(2, 'framerate_fps', DOUBLE),
]);
export const Feedback = message('TakeEncodedVideoSourceFeedbackResponse', [
  scalar(1, 'keyframe_requested', BOOL),
  { no: 2, name: 'rate_control', kind: 'message', T: RateControl, opt: true },
]);
export const Anything = message('Anything');
export const InError = message('InError', [scalar(1, 'error', STRING)]);
export const NewCaptureSource = message('NewCaptureSource', [scalar(3, 'request_async_id', UINT64)]);
export const AsyncId = message('AsyncId', [scalar(1, 'async_id', UINT64)]);
export const Callback = message('NewCaptureSourceCallback', [
  scalar(1, 'async_id', UINT64),
  scalar(2, 'error', STRING),
]);

/** A message with one field, of the number that FfiRequest, FfiResponse and FfiEvent have for it. */
const envelope = (no: number, T: MessageType) =>
  message(`Envelope${no}${T.typeName}`, [{ no, name: 'content', kind: 'message', T, opt: true }]);

export function encodeLater(no: number, type: MessageType, fields: object): Uint8Array {
  return new (envelope(no, type))({ content: new type(fields) }).toBinary();
}

/** @throws OffhookError `OFFHOOK_INVALID_REQUEST` for bytes that are no message */
export function laterContent(request: Uint8Array, number: number, type: MessageType): Content {
  try {
    return (envelope(number, type).fromBinary(request) as Message & { content?: Message }).content;
  } catch (cause) {
    throw new OffhookError(
      'OFFHOOK_INVALID_REQUEST',
      `the request is not an FfiRequest: ${describeError(cause)}`,
      {
        cause,
      },
    );
  }
}

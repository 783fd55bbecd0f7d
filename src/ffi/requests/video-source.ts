import { OffhookError } from '../../errors/index.js';
import { EncodedVideoSource, type Rotation, VideoSource } from '../../video/index.js';
import { pictureOf } from '../conversion/video-frame.js';
import type { Handler } from '../handler.js';
import { VideoSourceType } from '../protocol.js';

/** VIDEO_SOURCE_ENCODED, of FFI 0.12.80 and later. */
const encodedSource = 1;

export const newVideoSource: Handler<'newVideoSource'> = (request, { handles }) => {
  const { type = VideoSourceType.VIDEO_SOURCE_NATIVE, resolution, isScreencast } = request;
  const isEncoded = Number(type) === encodedSource;
  if (!isEncoded && type !== VideoSourceType.VIDEO_SOURCE_NATIVE)
    throw new OffhookError('OFFHOOK_NOT_SUPPORTED', `video sources of type ${type} are not supported`);
  const { width = 0, height = 0 } = resolution ?? {};
  const source = isEncoded
    ? new EncodedVideoSource({ width, height })
    : new VideoSource({ width, height, isScreencast: isScreencast ?? false });
  return { source: { handle: { id: BigInt(handles.add(source)) }, info: { type } } };
};

export const captureVideoFrame: Handler<'captureVideoFrame'> = (request, { handles, memory }) => {
  const { buffer, timestampUs = 0n, rotation = 0, metadata } = request;
  const source = handles.get(request.sourceHandle, VideoSource);
  source.captureFrame({
    picture: pictureOf(buffer, memory),
    timestampUs: Number(timestampUs),
    rotation: ((rotation & 3) * 90) as Rotation,
    metadata,
  });
  return {};
};

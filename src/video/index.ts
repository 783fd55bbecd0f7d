export { loadCodecs, payloadFormats, type VideoCodec, videoCodec } from './codec.js';
export { convertPicture } from './convert.js';
export {
  type EncodedVideoFrame,
  EncodedVideoSource,
  type EncoderFeedback,
} from './encoded-video-source.js';
export type { FrameMetadata } from './frame-metadata.js';
export { trailerLength } from './frame-metadata.js';
export { type Vp9Layers, vp9Layers } from './payload/vp9.js';
export {
  flipped,
  type Picture,
  type PictureFormat,
  type Plane,
  packedPicture,
  pictureBytes,
  planeSizes,
  type Rotation,
  type VideoFrame,
} from './picture.js';
export type { VideoLayerStats } from './video-layer.js';
export { planVideoLayers, type VideoLayerPlan } from './video-layers.js';
export {
  type FrameTransform,
  type VideoFormat,
  type VideoPayload,
  VideoReceiver,
  type VideoReceiverStats,
} from './video-receiver.js';
export { VideoSender, type VideoSenderStats } from './video-sender.js';
export { VideoSource } from './video-source.js';
export {
  bytesOfPicture,
  VideoStream,
  type VideoStreamOptions,
  type VideoStreamStats,
} from './video-stream.js';

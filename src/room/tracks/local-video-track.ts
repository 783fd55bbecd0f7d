import type { EncodedVideoSource, VideoSender, VideoSenderStats, VideoSource } from '../../video/index.js';
import { LocalTrack } from './local-track.js';

/** A video source to publish. */
export class LocalVideoTrack extends LocalTrack<
  VideoSource | EncodedVideoSource,
  VideoSender,
  VideoSenderStats
> {}

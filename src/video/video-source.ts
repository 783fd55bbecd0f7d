import { OffhookError } from '../errors/index.js';
import type { VideoFrame } from './picture.js';

export interface VideoSink {
  onFrame(frame: VideoFrame): void;
}

/** Pictures that a program makes, for the tracks that it publishes of them. */
export class VideoSource {
  /** Of the pictures that are expected; others are sent as they are. */
  readonly width: number;
  readonly height: number;
  /** A screen rather than a camera: of matter to the bit rate. */
  readonly isScreencast: boolean;
  #sinks = new Set<VideoSink>();

  /** @throws OffhookError `OFFHOOK_INVALID_REQUEST` */
  constructor({
    width,
    height,
    isScreencast = false,
  }: { width: number; height: number; isScreencast?: boolean }) {
    if (!(width >= 1 && height >= 1 && Number.isInteger(width) && Number.isInteger(height)))
      throw new OffhookError('OFFHOOK_INVALID_REQUEST', `a video source of ${width} x ${height} pixels`);
    this.width = width;
    this.height = height;
    this.isScreencast = isScreencast;
  }

  /** Sends a picture, or drops it where the encoder is behind: nothing waits. Its bytes are read during the call. */
  captureFrame(frame: VideoFrame): void {
    for (const sink of this.#sinks) sink.onFrame(frame);
  }

  attach(sink: VideoSink): void {
    this.#sinks.add(sink);
  }

  detach(sink: VideoSink): void {
    this.#sinks.delete(sink);
  }
}

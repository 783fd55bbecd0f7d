import { OffhookError } from '../errors/index.js';
import { FrameRate } from './frame-rate.js';
import { packedPicture, type VideoFrame } from './picture.js';

const blackIntervalMs = 100;
/** Chroma of a picture without colour. */
const neutral = 128;
const black = 16;

export interface VideoSink {
  onFrame(frame: VideoFrame): void;
}

/** Of the last picture, and of all that were captured. */
export interface VideoSourceStats {
  width: number;
  height: number;
  frames: number;
  framesPerSecond: number;
}

/**
 * Pictures that a program makes, for the tracks that it publishes of them. Until the first one, a black picture is sent ten times a
 * second: livekit-server announces a track when media has come, and programs wait with their pictures until somebody subscribes.
 */
export class VideoSource {
  /** Of the pictures that are expected; others are sent as they are. */
  readonly width: number;
  readonly height: number;
  /** A screen rather than a camera: of matter to the bit rate. */
  readonly isScreencast: boolean;
  #sinks = new Set<VideoSink>();
  #hasCaptured = false;
  #blackTimer: NodeJS.Timeout | undefined;
  #size: { width: number; height: number };
  #frames = 0;
  #rate = new FrameRate();

  /** @throws OffhookError `OFFHOOK_INVALID_REQUEST` */
  constructor({
    width,
    height,
    isScreencast = false,
  }: { width: number; height: number; isScreencast?: boolean }) {
    if (!(width >= 1 && height >= 1 && Number.isInteger(width) && Number.isInteger(height)))
      throw new OffhookError(
        'OFFHOOK_INVALID_REQUEST',
        `a video source cannot have ${width} x ${height} pixels`,
      );
    this.width = width;
    this.height = height;
    this.#size = { width, height };
    this.isScreencast = isScreencast;
  }

  /** Sends a picture, or drops it where the encoder is behind: nothing waits. Its bytes are read during the call. */
  captureFrame(frame: VideoFrame): void {
    this.#hasCaptured = true;
    this.#stopBlack();
    const { width, height } = frame.picture;
    this.#size = { width, height };
    this.#frames++;
    this.#rate.count(performance.now());
    for (const sink of this.#sinks) sink.onFrame(frame);
  }

  stats(): VideoSourceStats {
    const framesPerSecond = this.#rate.perSecond(performance.now());
    return { ...this.#size, frames: this.#frames, framesPerSecond };
  }

  attach(sink: VideoSink): void {
    this.#sinks.add(sink);
    if (!this.#hasCaptured) this.#blackTimer ??= this.#startBlack();
  }

  detach(sink: VideoSink): void {
    this.#sinks.delete(sink);
    if (this.#sinks.size === 0) this.#stopBlack();
  }

  #startBlack(): NodeJS.Timeout {
    const picture = packedPicture('i420', this.width, this.height);
    for (const [index, { bytes, offset, stride, rows }] of picture.planes.entries())
      bytes.fill(index === 0 ? black : neutral, offset, offset + stride * rows);
    return setInterval(() => {
      const timestampUs = Math.round(performance.now() * 1_000);
      for (const sink of this.#sinks) sink.onFrame({ picture, timestampUs, rotation: 0 });
    }, blackIntervalMs);
  }

  #stopBlack(): void {
    clearInterval(this.#blackTimer);
    this.#blackTimer = undefined;
  }
}

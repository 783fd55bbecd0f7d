import { OffhookError } from '../errors/index.js';
import type { VideoCodec } from './codec.js';
import type { FrameMetadata } from './frame-metadata.js';
import { FrameRate } from './frame-rate.js';
import type { VideoSourceStats } from './video-source.js';

/** A frame that the program, or a camera, has encoded: one access unit (Annex B) or temporal unit. */
export interface EncodedVideoFrame {
  data: Buffer;
  codec: VideoCodec;
  isKeyFrame: boolean;
  width: number;
  height: number;
  /** When it was captured; it grows from frame to frame. */
  timestampUs: number;
  metadata?: FrameMetadata | undefined;
}

/** What the encoder of a source is asked for. */
export interface EncoderFeedback {
  /** Somebody cannot decode the stream before a key frame comes. */
  keyFrameRequested: boolean;
  /** Undefined when it is as before. */
  rate: EncoderRate | undefined;
}

export interface EncoderRate {
  bitrateBps: number;
  framesPerSecond: number;
}

export interface EncodedVideoSink {
  /** Returns false for a frame of another codec than the track was published with. */
  onEncodedFrame(frame: EncodedVideoFrame): boolean;
}

/** Frames that are encoded already, for the tracks that are published of them. */
export class EncodedVideoSource {
  readonly width: number;
  readonly height: number;
  readonly isScreencast = false;
  #sinks = new Set<EncodedVideoSink>();
  #size: { width: number; height: number };
  #frames = 0;
  #frameRate = new FrameRate();
  #keyFrameRequested = false;
  #rate: EncoderRate | undefined;

  /** @throws OffhookError `OFFHOOK_INVALID_REQUEST` */
  constructor({ width, height }: { width: number; height: number }) {
    if (!(width >= 1 && height >= 1))
      throw new OffhookError(
        'OFFHOOK_INVALID_REQUEST',
        `a video source cannot have ${width} x ${height} pixels`,
      );
    this.width = width;
    this.height = height;
    this.#size = { width, height };
  }

  /** Sends a frame now; its bytes are read during the call. Returns whether every track of the source takes its codec. */
  captureFrame(frame: EncodedVideoFrame): boolean {
    this.#size = { width: frame.width, height: frame.height };
    this.#frames++;
    this.#frameRate.count(performance.now());
    let isTaken = true;
    for (const sink of this.#sinks) isTaken = sink.onEncodedFrame(frame) && isTaken;
    return isTaken;
  }

  stats(): VideoSourceStats {
    const framesPerSecond = this.#frameRate.perSecond(performance.now());
    return { ...this.#size, frames: this.#frames, framesPerSecond };
  }

  /** What was asked for since the last call. */
  takeFeedback(): EncoderFeedback {
    const feedback = { keyFrameRequested: this.#keyFrameRequested, rate: this.#rate };
    this.#keyFrameRequested = false;
    this.#rate = undefined;
    return feedback;
  }

  /** For the senders of the source. */
  requestKeyFrame(): void {
    this.#keyFrameRequested = true;
  }

  /** For the senders of the source. */
  setRate(rate: EncoderRate): void {
    this.#rate = rate;
  }

  attach(sink: EncodedVideoSink): void {
    this.#sinks.add(sink);
  }

  detach(sink: EncodedVideoSink): void {
    this.#sinks.delete(sink);
  }
}

import { convertPicture } from './convert.js';
import { type Picture, type PictureFormat, packedBytes, type VideoFrame } from './picture.js';

export interface VideoStreamOptions {
  /** Default: as the decoder gives them, which is `i420` nearly always. */
  format?: PictureFormat;
  /** Frames kept for a consumer that is busy, default 1: the newest. When there are more, the oldest are dropped. */
  queueSizeFrames?: number;
  /** Called for every frame, in order. While a promise that it returned is pending, frames wait in the queue. */
  onFrame(frame: VideoFrame): void | Promise<void>;
  /** Called once, after which there are no more frames; with an error when the track cannot be decoded here. */
  onEnd(error?: unknown): void;
}

export interface VideoStreamStats {
  framesDelivered: number;
  /** Frames dropped because the consumer was busy. */
  framesDropped: number;
}

/** A consumer's view of a video track, in its own format, at the pace at which it takes frames. */
export class VideoStream {
  readonly stats: VideoStreamStats = { framesDelivered: 0, framesDropped: 0 };
  #options: VideoStreamOptions;
  #onClose: (stream: VideoStream) => void;
  #queue: VideoFrame[] = [];
  #busy = false;
  #closed = false;

  constructor(options: VideoStreamOptions, onClose: (stream: VideoStream) => void) {
    this.#options = options;
    this.#onClose = onClose;
  }

  push(frame: VideoFrame): void {
    if (this.#closed) return;
    this.#queue.push(frame);
    if (this.#busy) {
      const excess = this.#queue.length - Math.max(1, this.#options.queueSizeFrames ?? 1);
      if (excess <= 0) return;
      this.#queue.splice(0, excess);
      this.stats.framesDropped += excess;
    } else this.#deliver();
  }

  close(error?: unknown): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue = [];
    this.#onClose(this);
    this.#options.onEnd(error);
  }

  #deliver(): void {
    for (;;) {
      const frame = this.#closed ? undefined : this.#queue.shift();
      if (!frame) return;
      const taken = this.#options.onFrame(this.#inFormat(frame));
      this.stats.framesDelivered++;
      if (!taken) continue;
      this.#busy = true;
      const next = () => {
        this.#busy = false;
        this.#deliver();
      };
      void taken.then(next, next);
      return;
    }
  }

  /** Frames that are dropped are never converted. */
  #inFormat(frame: VideoFrame): VideoFrame {
    const { format } = this.#options;
    if (!format || format === frame.picture.format) return frame;
    return { ...frame, picture: convertPicture(frame.picture, format) };
  }
}

/** The bytes of a picture, without gaps; copied only where they are not so already. */
export function bytesOfPicture(picture: Picture): Uint8Array {
  return packedBytes(picture) ?? (packedBytes(convertPicture(picture, picture.format)) as Uint8Array);
}

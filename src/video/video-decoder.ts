import type {
  VideoFrame as DecodedFrame,
  EncodedVideoChunk,
  VideoDecoder as NativeDecoder,
} from '@napi-rs/webcodecs';
import { describeError } from '../errors/index.js';
import type { Logger } from '../logging/index.js';
import { codecStrings, loadCodecs, ReleasableCallbacks, type VideoCodec } from './codec.js';
import { type Picture, type PictureFormat, type Plane, packedPicture } from './picture.js';

type Codecs = Awaited<ReturnType<typeof loadCodecs>>;

export interface VideoDecoderOptions {
  codec: VideoCodec;
  log: Logger;
  /** Takes pictures in the order of their frames, with the id that the frame was given. */
  onPicture(picture: Picture, id: number): void;
  /** What follows is of no use without a key frame: a frame could not be decoded, or decoding is behind. */
  onKeyFrameNeeded(): void;
  /** Nothing can be decoded at all. */
  onUnavailable(error: unknown): void;
}

/** Frames that may wait for the codec: a second of them, after which a key frame begins again. */
const maxWaiting = 30;

/** Decodes one stream, in the codec's own threads. A frame that cannot be decoded costs the frames until the next key frame. */
export class VideoDecoder {
  #options: VideoDecoderOptions;
  #codecs: Codecs | undefined;
  #decoder: NativeDecoder | undefined;
  #callbacks: ReleasableCallbacks<DecodedFrame> | undefined;
  #waitsForKeyFrame = true;
  #early: [data: Uint8Array, isKeyFrame: boolean, id: number][] = [];
  /** More frames came than are kept before the codecs are loaded. */
  #lostEarly = false;
  #closed = false;
  /** Copying out of the codec's memory is asynchronous: pictures are handed over one after another. */
  #copying: Promise<void> = Promise.resolve();
  framesDecoded = 0;

  constructor(options: VideoDecoderOptions) {
    this.#options = options;
    void loadCodecs().then(
      (codecs) => {
        this.#codecs = codecs;
        for (const [data, isKeyFrame, id] of this.#early.splice(0)) this.decode(data, isKeyFrame, id);
        if (this.#lostEarly && !this.#closed) options.onKeyFrameNeeded();
      },
      (error: unknown) => {
        if (!this.#closed) options.onUnavailable(error);
      },
    );
  }

  /** @param id comes back with the picture */
  decode(data: Uint8Array, isKeyFrame: boolean, id: number): void {
    if (this.#closed) return;
    if (!this.#codecs) {
      // A server takes its time for a second key frame: the first is kept until the codecs are loaded.
      if (this.#early.length < maxWaiting) this.#early.push([data, isKeyFrame, id]);
      else {
        this.#early = [];
        this.#lostEarly = true;
      }
      return;
    }
    if (this.#waitsForKeyFrame && !isKeyFrame) return;
    const decoder = this.#decoder ?? this.#open(this.#codecs);
    if (decoder.decodeQueueSize > maxWaiting) {
      this.#restart(`decoding is ${decoder.decodeQueueSize} frames behind`);
      return;
    }
    this.#waitsForKeyFrame = false;
    const type = isKeyFrame ? 'key' : 'delta';
    try {
      const chunk: EncodedVideoChunk = new this.#codecs.EncodedVideoChunk({ type, timestamp: id, data });
      decoder.decode(chunk);
    } catch (error) {
      this.#restart(describeError(error));
    }
  }

  close(): void {
    this.#closed = true;
    this.#dispose();
  }

  #open(codecs: Codecs): NativeDecoder {
    const callbacks = new ReleasableCallbacks<DecodedFrame>({
      output: (frame) => {
        this.#copying = this.#copying.then(() => this.#handOver(frame));
      },
      error: (error) => this.#restart(describeError(error)),
    });
    const decoder = new codecs.VideoDecoder(callbacks.init);
    this.#callbacks = callbacks;
    decoder.configure({ codec: codecStrings[this.#options.codec], optimizeForLatency: true });
    this.#decoder = decoder;
    return decoder;
  }

  #restart(reason: string): void {
    this.#options.log.debug(`the ${this.#options.codec} decoder is started again: ${reason}`);
    this.#dispose();
    this.#waitsForKeyFrame = true;
    if (!this.#closed) this.#options.onKeyFrameNeeded();
  }

  #dispose(): void {
    const decoder = this.#decoder;
    this.#decoder = undefined;
    this.#callbacks?.release();
    if (decoder && decoder.state !== 'closed') decoder.close();
  }

  async #handOver(frame: DecodedFrame): Promise<void> {
    try {
      const picture = this.#closed ? undefined : await copyPicture(frame);
      if (!picture || this.#closed) return;
      this.framesDecoded++;
      this.#options.onPicture(picture, frame.timestamp);
    } catch (error) {
      this.#options.log.warn(`a decoded picture was lost: ${describeError(error)}`);
    } finally {
      frame.close();
    }
  }
}

const formats: Readonly<Record<string, PictureFormat>> = {
  I420: 'i420',
  I420A: 'i420a',
  I422: 'i422',
  I444: 'i444',
  I420P10: 'i010',
  NV12: 'nv12',
};

async function copyPicture(frame: DecodedFrame): Promise<Picture | undefined> {
  const format = formats[frame.format ?? ''];
  const { width, height } = frame.visibleRect ?? { width: frame.codedWidth, height: frame.codedHeight };
  if (!format) throw new Error(`the codec gave a picture of format ${frame.format}`);
  const picture = packedPicture(format, width, height);
  const [{ bytes }] = picture.planes as [Plane];
  await frame.copyTo(bytes, { layout: picture.planes.map(({ offset, stride }) => ({ offset, stride })) });
  if (width % 2 === 1 || height % 2 === 1) fillChromaEdges(picture);
  return picture;
}

/** Of a picture of odd size the codec copies chroma for whole blocks only. */
function fillChromaEdges({ planes, width, height, format }: Picture): void {
  const step = format === 'i010' || format === 'nv12' ? 2 : 1;
  for (const { bytes, offset, stride, rowBytes, rows } of planes.slice(1, 3)) {
    if (width % 2 === 1 && rowBytes < width * step + step) {
      for (let row = 0; row < rows; row++) {
        const end = offset + stride * row + rowBytes;
        bytes.copyWithin(end - step, end - 2 * step, end - step);
      }
    }
    if (height % 2 === 1 && rows < height) {
      const last = offset + stride * (rows - 1);
      bytes.copyWithin(last, last - stride, last - stride + rowBytes);
    }
  }
}

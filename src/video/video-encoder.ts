import type { EncodedVideoChunk, VideoEncoder as NativeEncoder } from '@napi-rs/webcodecs';
import { describeError } from '../errors/index.js';
import type { Logger } from '../logging/index.js';
import { codecStrings, loadCodecs, ReleasableCallbacks, type VideoCodec } from './codec.js';
import { convertPicture } from './convert.js';
import type { Picture } from './picture.js';
import { bytesOfPicture } from './video-stream.js';

type Codecs = Awaited<ReturnType<typeof loadCodecs>>;

export interface VideoEncoderOptions {
  codec: VideoCodec;
  log: Logger;
  framesPerSecond: number;
  /** Takes frames in order, with the id that their picture was given. */
  onFrame(data: Buffer, isKeyFrame: boolean, id: number): void;
  /** Nothing can be encoded at all. */
  onUnavailable(error: unknown): void;
}

interface Settings {
  width: number;
  height: number;
  bitrateBps: number;
}

/** Pictures that may be in the encoder: the next one is dropped. */
const maxWaiting = 2;

/** Encodes one stream in the codec's own threads, as fast as it can; pictures for which it has no time are dropped. */
export class VideoEncoder {
  framesEncoded = 0;
  framesDropped = 0;
  /** Sum of the times from a picture to its frame. */
  totalEncodeMs = 0;
  #startedMs = new Map<number, number>();
  #options: VideoEncoderOptions;
  #codecs: Codecs | undefined;
  #encoder: NativeEncoder | undefined;
  #callbacks: ReleasableCallbacks<EncodedVideoChunk> | undefined;
  #settings: Settings | undefined;
  #waiting = 0;
  #closed = false;

  constructor(options: VideoEncoderOptions) {
    this.#options = options;
    void loadCodecs().then(
      (codecs) => {
        this.#codecs = codecs;
      },
      (error: unknown) => {
        if (!this.#closed) options.onUnavailable(error);
      },
    );
  }

  /**
   * Encodes a picture, whose bytes are read during the call. One of another size than the last, or another bit rate,
   * begins with a key frame.
   *
   * @returns false when the picture is dropped
   */
  encode(picture: Picture, bitrateBps: number, isKeyFrame: boolean, id: number): boolean {
    if (this.#closed || !this.#codecs) return false;
    if (this.#waiting >= maxWaiting) {
      this.framesDropped++;
      return false;
    }
    const { width, height } = evenSize(picture);
    const known = this.#settings;
    const isSame = known?.width === width && known.height === height && known.bitrateBps === bitrateBps;
    if (!isSame) this.#dispose();
    try {
      const encoder = this.#encoder ?? this.#open(this.#codecs, { width, height, bitrateBps });
      const frame = new this.#codecs.VideoFrame(planarBytes(picture, width, height), {
        format: 'I420',
        codedWidth: width,
        codedHeight: height,
        timestamp: id,
      });
      this.#waiting++;
      this.#startedMs.set(id, performance.now());
      encoder.encode(frame, { keyFrame: isKeyFrame || !isSame });
      frame.close();
      return true;
    } catch (error) {
      this.#options.log.warn(`a picture could not be encoded: ${describeError(error)}`);
      this.#dispose();
      return false;
    }
  }

  close(): void {
    this.#closed = true;
    this.#dispose();
  }

  #open(codecs: Codecs, settings: Settings): NativeEncoder {
    const { codec, framesPerSecond, onFrame } = this.#options;
    const callbacks = new ReleasableCallbacks<EncodedVideoChunk>({
      output: (chunk) => {
        this.#waiting = Math.max(0, this.#waiting - 1);
        this.framesEncoded++;
        this.totalEncodeMs += performance.now() - (this.#startedMs.get(chunk.timestamp) ?? performance.now());
        this.#startedMs.delete(chunk.timestamp);
        const data = Buffer.allocUnsafe(chunk.byteLength);
        chunk.copyTo(data);
        onFrame(data, chunk.type === 'key', chunk.timestamp);
      },
      error: (error) => {
        this.#options.log.warn(`the ${codec} encoder is started again: ${describeError(error)}`);
        this.#dispose();
      },
    });
    const encoder = new codecs.VideoEncoder(callbacks.init);
    this.#callbacks = callbacks;
    encoder.configure({
      codec: codecString(codec, settings),
      width: settings.width,
      height: settings.height,
      bitrate: settings.bitrateBps,
      framerate: framesPerSecond,
      // Either mode gives each frame at once (the package sets libx264's zero latency and libvpx's realtime deadline), but
      // `realtime` makes every tenth frame a key frame: four times as large, it waits for the pace of the path.
      latencyMode: 'quality',
      hardwareAcceleration: 'prefer-software',
      ...(codec === 'h264' ? { avc: { format: 'annexb' } } : {}),
    });
    this.#encoder = encoder;
    this.#settings = settings;
    this.#waiting = 0;
    return encoder;
  }

  #dispose(): void {
    const encoder = this.#encoder;
    this.#encoder = undefined;
    this.#callbacks?.release();
    this.#startedMs.clear();
    this.#settings = undefined;
    this.#waiting = 0;
    if (encoder && encoder.state !== 'closed') encoder.close();
  }
}

/** The level of H.264 that `codecStrings` names ends at 720p; the next ones at 1080p and at 4K. */
function codecString(codec: VideoCodec, { width, height }: Settings): string {
  if (codec !== 'h264' || width * height <= 1_280 * 720) return codecStrings[codec];
  return width * height <= 1_920 * 1_088 ? 'avc1.42e028' : 'avc1.42e033';
}

/** Codecs work on blocks of two by two pixels: of an odd size the last row or column is not sent. */
function evenSize({ width, height }: Picture): { width: number; height: number } {
  return { width: Math.max(2, width & ~1), height: Math.max(2, height & ~1) };
}

function planarBytes(picture: Picture, width: number, height: number): Uint8Array {
  const planar = picture.format === 'i420' ? picture : convertPicture(picture, 'i420');
  if (planar.width === width && planar.height === height) return bytesOfPicture(planar);
  const planes = planar.planes.map((plane, index) => ({
    ...plane,
    rowBytes: index === 0 ? width : width / 2,
    rows: index === 0 ? height : height / 2,
  }));
  return bytesOfPicture({ ...planar, width, height, planes });
}

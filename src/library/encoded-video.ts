import {
  checkBytes,
  checkFlag,
  checkInteger,
  checkObject,
  checkOneOf,
  checkOptions,
  OffhookError,
} from '../errors/index.js';
import {
  Accepted,
  CaptureEncoded,
  encodeLater,
  Feedback,
  laterContent,
  type protocol,
  TakeFeedback,
} from '../ffi/index.js';
import { LibraryEngine } from './engine.js';
import { codecNumbers, maxSide, type VideoCodec } from './video.js';

/** A frame that the program, or a camera, has encoded: an access unit (Annex B) of H.264, a temporal unit of AV1. */
export interface EncodedVideoFrame {
  data: Uint8Array;
  codec: VideoCodec;
  /** Whether it can be decoded without those before it. */
  isKeyFrame: boolean;
  /** Pixels. */
  width: number;
  height: number;
  /** When it was captured, in microseconds; it grows from frame to frame. */
  timestampUs: number;
}

/** What a program's encoder is asked for. */
export interface EncoderFeedback {
  /** Somebody cannot decode the track before a key frame comes. */
  isKeyFrameRequested: boolean;
  /** What the path carries; undefined when it is as before. */
  rate: { bitrateBps: number; framesPerSecond: number } | undefined;
}

export interface EncodedVideoSourceOptions {
  /** Pixels of the frames. */
  width: number;
  height: number;
}

/** Field numbers in FfiRequest and FfiResponse. */
const captureNumber = 87;
const feedbackNumber = 88;
/** VIDEO_SOURCE_ENCODED. */
const encodedSource = 1;

/**
 * Video that the program has encoded already. It is published as a VideoSource is, in one layer and with the codec of its
 * frames; no package of codecs is needed.
 *
 * @example
 * const source = new EncodedVideoSource({ width: 640, height: 360 });
 * await room.localParticipant.publishVideo(source, { codec: 'h264', simulcast: false });
 * source.captureFrame({ data, codec: 'h264', isKeyFrame: true, width: 640, height: 360, timestampUs: 0 });
 */
export class EncodedVideoSource {
  readonly width: number;
  readonly height: number;
  readonly isScreencast = false;
  readonly #engine = LibraryEngine.shared;
  readonly #handle: bigint;
  #isClosed = false;

  /** @throws OffhookError `OFFHOOK_INVALID_REQUEST` for a size that is out of limits */
  constructor(options: EncodedVideoSourceOptions) {
    checkOptions('the options of an EncodedVideoSource', options, ['width', 'height']);
    this.width = checkInteger('width', options.width, 1, maxSide);
    this.height = checkInteger('height', options.height, 1, maxSide);
    const { source } = this.#engine.request('newVideoSource', {
      type: encodedSource as protocol.VideoSourceType,
      resolution: { width: this.width, height: this.height },
    });
    this.#handle = source?.handle?.id ?? 0n;
    this.#engine.dropWith(this, this.#handle);
  }

  /** @internal */
  get handle(): bigint {
    return this.#handle;
  }

  /**
   * Sends a frame; its bytes are copied during the call.
   *
   * @returns false for a frame of another codec than the track was published with, which is not sent
   * @throws OffhookError `OFFHOOK_INVALID_REQUEST`, `OFFHOOK_CLOSED` after `close`
   */
  captureFrame(frame: EncodedVideoFrame): boolean {
    checkObject('captureFrame: the frame', frame);
    const { data, codec, isKeyFrame, width, height, timestampUs } = frame;
    checkBytes('captureFrame: data', data);
    checkOneOf('captureFrame: codec', codec, Object.keys(codecNumbers) as VideoCodec[]);
    checkFlag('captureFrame: isKeyFrame', isKeyFrame);
    checkInteger('captureFrame: timestampUs', timestampUs, 0, Number.MAX_SAFE_INTEGER);
    this.#checkOpen('captureFrame');
    if (data.length === 0)
      throw new OffhookError('OFFHOOK_INVALID_REQUEST', 'captureFrame: the frame is empty');
    const request = encodeLater(captureNumber, CaptureEncoded, {
      sourceHandle: this.#handle,
      buffer: { dataPtr: this.#engine.addressOf(data), dataLen: BigInt(data.length) },
      codec: codecNumbers[codec],
      frameType: isKeyFrame ? 0 : 1,
      width: checkInteger('captureFrame: width', width, 1, maxSide),
      height: checkInteger('captureFrame: height', height, 1, maxSide),
      timestampUs: BigInt(timestampUs),
    });
    return (
      laterContent(
        this.#engine.rawRequest(() => request),
        captureNumber,
        Accepted,
      ).accepted ?? false
    );
  }

  /** What has been asked for since the last call. Look before each frame that is encoded. */
  takeFeedback(): EncoderFeedback {
    this.#checkOpen('takeFeedback');
    const request = encodeLater(feedbackNumber, TakeFeedback, { sourceHandle: this.#handle });
    const { keyframeRequested, rateControl } = laterContent(
      this.#engine.rawRequest(() => request),
      feedbackNumber,
      Feedback,
    );
    return {
      isKeyFrameRequested: keyframeRequested ?? false,
      rate: rateControl && {
        bitrateBps: Number(rateControl.targetBitrateBps ?? 0),
        framesPerSecond: rateControl.framerateFps ?? 0,
      },
    };
  }

  /** Ends the source; its tracks show nothing new from then on. */
  close(): void {
    this.#isClosed = true;
    this.#engine.drop(this.#handle);
  }

  /** `using` calls it: as `close`. */
  [Symbol.dispose](): void {
    this.close();
  }

  #checkOpen(what: string): void {
    if (this.#isClosed) throw new OffhookError('OFFHOOK_CLOSED', `${what}: the source is closed`);
  }
}

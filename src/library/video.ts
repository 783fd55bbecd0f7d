import {
  checkBytes,
  checkFlag,
  checkInteger,
  checkObject,
  checkOneOf,
  checkOptions,
  checkSignal,
  OffhookError,
} from '../errors/index.js';
import { type InitOf, protocol, type RequestOf } from '../ffi/index.js';
import { convertPicture, flipped, packedPicture, pictureBytes, planeSizes } from '../video/index.js';
import { LibraryEngine } from './engine.js';
import { FrameStream } from './inbox.js';

const bufferTypes: Record<VideoFormat, number> = {
  rgba: protocol.VideoBufferType.RGBA,
  abgr: protocol.VideoBufferType.ABGR,
  argb: protocol.VideoBufferType.ARGB,
  bgra: protocol.VideoBufferType.BGRA,
  rgb24: protocol.VideoBufferType.RGB24,
  i420: protocol.VideoBufferType.I420,
  i420a: protocol.VideoBufferType.I420A,
  i422: protocol.VideoBufferType.I422,
  i444: protocol.VideoBufferType.I444,
  i010: protocol.VideoBufferType.I010,
  nv12: protocol.VideoBufferType.NV12,
};

/**
 * How the pixels of a picture lie in memory. `rgba`, `abgr`, `argb`, `bgra` and `rgb24` name their bytes in the order of
 * addresses; `i420`, `i420a`, `i422`, `i444`, `i010` and `nv12` are planes one after another, `nv12` with U and V
 * interleaved, `i010` with 10 bits in two bytes (little endian).
 */
export type VideoFormat =
  | 'rgba'
  | 'abgr'
  | 'argb'
  | 'bgra'
  | 'rgb24'
  | 'i420'
  | 'i420a'
  | 'i422'
  | 'i444'
  | 'i010'
  | 'nv12';

/** Clockwise turn, in degrees, that makes a picture upright. */
export type VideoRotation = 0 | 90 | 180 | 270;

/** A picture, without gaps between its rows and planes. */
export interface VideoFrame {
  data: Uint8Array;
  format: VideoFormat;
  /** Pixels. */
  width: number;
  height: number;
  /** Default 0. */
  rotation?: VideoRotation;
  /** Of a received frame: microseconds, on a clock of the track. */
  timestampUs?: number;
}

const rotations = ['0', '90', '180', '270'];
export type VideoCodec = 'vp8' | 'vp9' | 'h264' | 'av1';

/** @internal */
export const codecNumbers: Record<VideoCodec, number> = {
  vp8: protocol.FfiVideoCodec.VP8,
  vp9: protocol.FfiVideoCodec.VP9,
  h264: protocol.FfiVideoCodec.H264,
  av1: protocol.FfiVideoCodec.AV1,
};

const formats = Object.keys(bufferTypes) as VideoFormat[];
/** WebRTC's codecs end there. @internal */
export const maxSide = 16_384;

function checkFrame(what: string, frame: VideoFrame): void {
  checkObject(`${what}: the frame`, frame);
  const { data, format, width, height, rotation = 0 } = frame;
  checkBytes(`${what}: data`, data);
  checkOneOf(`${what}: format`, format, formats);
  checkInteger(`${what}: width`, width, 1, maxSide);
  checkInteger(`${what}: height`, height, 1, maxSide);
  checkOneOf(`${what}: rotation`, typeof rotation === 'number' ? String(rotation) : rotation, rotations);
  const expected = pictureBytes(format, width, height);
  if (data.length === expected) return;
  throw new OffhookError(
    'OFFHOOK_INVALID_REQUEST',
    `${what}: ${data.length} bytes are not a picture of ${width} x ${height} pixels as ${format}`,
    { advice: `Give a Uint8Array of ${expected} bytes.` },
  );
}

type FfiBuffer = NonNullable<InitOf<RequestOf<'captureVideoFrame'>>['buffer']>;

/** What the protocol says of a frame whose bytes are at `address`. */
function ffiBuffer({ format, width, height }: VideoFrame, address: bigint): FfiBuffer {
  let dataPtr = address;
  const planes = planeSizes(format, width, height).map(({ rowBytes, rows }) => {
    const plane = { dataPtr, stride: rowBytes, size: rowBytes * rows };
    dataPtr += BigInt(plane.size);
    return plane;
  });
  const info = { type: bufferTypes[format], width, height, dataPtr: address };
  // A format of one plane has no components in the protocol.
  return planes.length === 1
    ? { ...info, stride: planes[0]!.stride, components: [] }
    : { ...info, components: planes };
}

/**
 * The frame in another format. Between RGB and YUV as ITU-R BT.601 has it. Runs in the program's thread, where 720p takes
 * some milliseconds.
 *
 * @throws OffhookError `OFFHOOK_INVALID_REQUEST` for a frame that is not what it says
 */
export function convertVideoFrame(
  frame: VideoFrame,
  format: VideoFormat,
  options: { /** Upside down. Default false. */ flipY?: boolean } = {},
): VideoFrame {
  checkOptions('convertVideoFrame', options, ['flipY']);
  checkFrame('convertVideoFrame', frame);
  checkOneOf('convertVideoFrame: format', format, formats);
  const { flipY = false } = options;
  checkFlag('convertVideoFrame: flipY', flipY);
  const picture = packedPicture(frame.format, frame.width, frame.height, frame.data);
  const { planes } = convertPicture(flipY ? flipped(picture) : picture, format);
  return { ...frame, format, data: planes[0]!.bytes };
}

export interface VideoSourceOptions {
  /** Pixels of the pictures that are expected; those of another size are sent as they are. */
  width: number;
  height: number;
  /** A screen rather than a camera: sharp before smooth, with other layers and bit rates. Default false. */
  isScreencast?: boolean;
}

/**
 * Video that the program makes. It may be published in several rooms, again and again.
 *
 * @example
 * const source = new VideoSource({ width: 640, height: 360 });
 * await room.localParticipant.publishVideo(source);
 * source.captureFrame({ data, format: 'rgba', width: 640, height: 360 });
 */
export class VideoSource {
  readonly width: number;
  readonly height: number;
  readonly isScreencast: boolean;
  readonly #engine = LibraryEngine.shared;
  readonly #handle: bigint;
  #isClosed = false;

  /** @throws OffhookError `OFFHOOK_INVALID_REQUEST` for a size that is out of limits */
  constructor(options: VideoSourceOptions) {
    checkOptions('the options of a VideoSource', options, ['width', 'height', 'isScreencast']);
    const { width, height, isScreencast = false } = options;
    this.width = checkInteger('width', width, 1, maxSide);
    this.height = checkInteger('height', height, 1, maxSide);
    this.isScreencast = checkFlag('isScreencast', isScreencast);
    const { source } = this.#engine.request('newVideoSource', {
      type: protocol.VideoSourceType.VIDEO_SOURCE_NATIVE,
      resolution: { width, height },
      isScreencast,
    });
    this.#handle = source?.handle?.id ?? 0n;
    this.#engine.dropWith(this, this.#handle);
  }

  /** @internal */
  get handle(): bigint {
    return this.#handle;
  }

  /**
   * Sends a frame, or drops it where the encoder or the path is behind: nothing waits, and the program's own clock sets
   * the pace. Its bytes are copied during the call.
   *
   * @throws OffhookError `OFFHOOK_INVALID_REQUEST` for a frame that is not what it says, `OFFHOOK_CLOSED` after `close`
   */
  captureFrame(frame: VideoFrame): void {
    checkFrame('captureFrame', frame);
    if (this.#isClosed) throw new OffhookError('OFFHOOK_CLOSED', 'captureFrame: the source is closed');
    const { data, rotation = 0 } = frame;
    this.#engine.request('captureVideoFrame', {
      sourceHandle: this.#handle,
      buffer: ffiBuffer(frame, this.#engine.addressOf(data)),
      timestampUs: 0n,
      rotation: rotation / 90,
    });
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
}

export interface VideoStreamOptions {
  /** Default `i420`. */
  format?: VideoFormat;
  /** Frames that wait for a program that is slow; beyond them the oldest are dropped. Default 1: the newest. */
  queueSizeFrames?: number;
  /** Aborting it closes the stream; a loop over it throws the signal's reason. */
  signal?: AbortSignal;
}

/** A picture in the engine's memory: copied when it is read, given back without that when it is dropped. */
interface LentPicture {
  buffer?: { handle?: { id?: bigint }; info?: { dataPtr?: bigint; width?: number; height?: number } };
  timestampUs?: bigint;
  rotation?: number;
}

/** The frames of a track, in the format that was asked for, the newest first. Iterate over it; it ends with the track. */
export class VideoStream extends FrameStream<VideoFrame, LentPicture> {
  readonly #format: VideoFormat;

  /** @internal `RemoteVideoTrack.openStream` makes them. */
  constructor(trackHandle: bigint, options: VideoStreamOptions) {
    checkOptions('the options of a video stream', options, ['format', 'queueSizeFrames', 'signal']);
    const { format = 'i420', queueSizeFrames = 1, signal } = options;
    checkOneOf('format', format, formats);
    checkSignal(signal);
    super(checkInteger('queueSizeFrames', queueSizeFrames, 1, 1_000));
    this.#format = format;
    const { stream } = this.engine.request('newVideoStream', {
      trackHandle,
      type: protocol.VideoStreamType.VIDEO_STREAM_NATIVE,
      format: bufferTypes[format],
      normalizeStride: true,
      queueSizeFrames,
    });
    this.listen(stream?.handle?.id ?? 0n, signal, (message) => {
      if (message.case !== 'videoStreamEvent') return;
      const event = message.value.message;
      if (event.case === 'frameReceived') this.arrived.push(event.value);
      else if (event.case === 'eos') this.ended();
    });
  }

  protected override dropped({ buffer }: LentPicture): void {
    this.engine.drop(buffer?.handle?.id);
  }

  /** Runs for each frame that the program reads. */
  protected override frameOf({ buffer, timestampUs, rotation = 0 }: LentPicture): VideoFrame {
    const { dataPtr, width = 0, height = 0 } = buffer?.info ?? {};
    const data = this.engine.copyOf(dataPtr, pictureBytes(this.#format, width, height));
    this.engine.drop(buffer?.handle?.id);
    return {
      data,
      format: this.#format,
      width,
      height,
      rotation: (rotation * 90) as VideoRotation,
      timestampUs: Number(timestampUs ?? 0n),
    };
  }
}

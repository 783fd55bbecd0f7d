import {
  checkBytes,
  checkInteger,
  checkName,
  checkOptions,
  checkSignal,
  OffhookError,
  refuse,
} from '../errors/index.js';
import { type InitOf, protocol, type RequestOf } from '../ffi/index.js';
import { LibraryEngine } from './engine.js';
import { FrameStream } from './inbox.js';

const { WellKnownFrameEncoding: Frame, WellKnownSchemaEncoding: Schema } = protocol;

const frameEncodings = {
  ros1: Frame.ROS1,
  cdr: Frame.CDR,
  protobuf: Frame.PROTOBUF,
  flatbuffer: Frame.FLATBUFFER,
  cbor: Frame.CBOR,
  msgpack: Frame.MSGPACK,
  json: Frame.JSON,
};
const schemaEncodings = {
  protobuf: Schema.PROTOBUF,
  flatbuffer: Schema.FLATBUFFER,
  ros1Msg: Schema.ROS1_MSG,
  ros2Msg: Schema.ROS2_MSG,
  ros2Idl: Schema.ROS2_IDL,
  omgIdl: Schema.OMG_IDL,
  jsonSchema: Schema.JSON_SCHEMA,
};

/** How the frames of a data track are encoded; `{ custom }` names an encoding of the program's own. */
export type DataFrameEncoding =
  | 'ros1'
  | 'cdr'
  | 'protobuf'
  | 'flatbuffer'
  | 'cbor'
  | 'msgpack'
  | 'json'
  | { custom: string };

/** The language of a schema's definition; `{ custom }` names one of the program's own. */
export type DataSchemaEncoding =
  | 'protobuf'
  | 'flatbuffer'
  | 'ros1Msg'
  | 'ros2Msg'
  | 'ros2Idl'
  | 'omgIdl'
  | 'jsonSchema'
  | { custom: string };

/** Names a schema; `LocalParticipant.defineSchema` gives its definition. */
export interface DataTrackSchema {
  name: string;
  encoding: DataSchemaEncoding;
}

/** How a data track is published. */
export interface PublishDataTrackOptions {
  /** 1 to 256 characters, another one for each data track of a participant. */
  name: string;
  /** Describes the frames. Needs `frameEncoding`. */
  schema?: DataTrackSchema;
  /** All but `cbor`, `msgpack`, `json` and `{ custom }` need `schema`. */
  frameEncoding?: DataFrameEncoding;
}

/** A data track as its publisher announced it. */
export interface DataTrackInfo {
  sid: string;
  name: string;
  /** End to end, by the keys of the room. */
  isEncrypted: boolean;
  schema: DataTrackSchema | undefined;
  frameEncoding: DataFrameEncoding | undefined;
}

/** A frame of a data track. */
export interface DataTrackFrame {
  payload: Uint8Array;
  /** The program's own, 0 to 2^64 - 1. */
  userTimestamp?: bigint;
}

export interface DataTrackStreamOptions {
  /** Frames that wait in the engine for a program that is slow; beyond them the oldest are dropped. Default 16. */
  bufferFrames?: number;
  /** Aborting it closes the stream; a loop over it throws the signal's reason. */
  signal?: AbortSignal;
}

type FfiOptions = NonNullable<InitOf<RequestOf<'publishDataTrack'>>['options']>;
type FfiSchema = NonNullable<FfiOptions['schema']>;
type FfiEncoding =
  | { case: 'wellKnown'; value: number }
  | { case: 'custom'; value: string }
  | { case: undefined; value?: undefined };
interface FfiInfo {
  sid?: string;
  name?: string;
  usesE2ee?: boolean;
  schema?: { name?: string; encoding?: { encoding?: FfiEncoding } };
  frameEncoding?: { encoding?: FfiEncoding };
}
interface OwnedTrack {
  handle?: { id?: bigint };
  info?: FfiInfo;
  publisherIdentity?: string;
}

function ffiEncoding<Name extends string>(
  what: string,
  encoding: Name | { custom: string },
  known: Record<Name, number>,
): { encoding: FfiEncoding } {
  if (typeof encoding === 'string' && Object.hasOwn(known, encoding))
    return { encoding: { case: 'wellKnown', value: known[encoding] } };
  if (typeof encoding === 'object' && encoding !== null)
    return { encoding: { case: 'custom', value: checkName(`${what}.custom`, encoding.custom) } };
  return refuse(what, encoding, `one of ${Object.keys(known).join(', ')}, or { custom }`);
}

function encodingOf<Name extends string>(
  encoding: FfiEncoding | undefined,
  known: Record<Name, number>,
): Name | { custom: string } | undefined {
  if (encoding?.case === 'custom') return { custom: encoding.value };
  return (Object.keys(known) as Name[]).find((name) => known[name] === encoding?.value);
}

/** @internal */
export function ffiSchema(schema: DataTrackSchema): FfiSchema {
  checkOptions('schema', schema, ['name', 'encoding']);
  return {
    name: checkName('schema.name', schema.name),
    encoding: ffiEncoding('schema.encoding', schema.encoding, schemaEncodings),
  } as FfiSchema;
}

/** @internal */
export function ffiDataTrackOptions(options: PublishDataTrackOptions): FfiOptions {
  checkOptions('publishDataTrack', options, ['name', 'schema', 'frameEncoding']);
  const { name, schema, frameEncoding } = options;
  return {
    name: checkName('name', name),
    ...(schema === undefined ? {} : { schema: ffiSchema(schema) }),
    ...(frameEncoding === undefined
      ? {}
      : { frameEncoding: ffiEncoding('frameEncoding', frameEncoding, frameEncodings) }),
  } as FfiOptions;
}

function trackInfo(info: FfiInfo | undefined): DataTrackInfo {
  const schemaEncoding = encodingOf(info?.schema?.encoding?.encoding, schemaEncodings);
  return {
    sid: info?.sid ?? '',
    name: info?.name ?? '',
    isEncrypted: info?.usesE2ee ?? false,
    schema: schemaEncoding && { name: info?.schema?.name ?? '', encoding: schemaEncoding },
    frameEncoding: encodingOf(info?.frameEncoding?.encoding, frameEncodings),
  };
}

/** A data track of ours, until `unpublish`. It is published again after a reconnect. */
export class LocalDataTrack {
  readonly info: DataTrackInfo;
  readonly #engine = LibraryEngine.shared;
  readonly #handle: bigint;

  /** @internal `LocalParticipant.publishDataTrack` makes them. */
  constructor({ handle, info }: OwnedTrack) {
    this.info = trackInfo(info);
    this.#handle = handle?.id ?? 0n;
    this.#engine.dropWith(this, this.#handle);
  }

  /** False once it was unpublished, or the room is over. */
  get isPublished(): boolean {
    const { isPublished } = this.#engine.request('localDataTrackIsPublished', { trackHandle: this.#handle });
    return isPublished ?? false;
  }

  /**
   * Sends a frame to everybody who reads the track.
   *
   * @returns false when the frame is dropped: while the room reconnects, or when they come faster than they can be encrypted
   * @throws OffhookError `OFFHOOK_CLOSED` when the track is no longer published, `OFFHOOK_INVALID_REQUEST` for a frame
   *   that is too long
   */
  push({ payload, userTimestamp }: DataTrackFrame): boolean {
    checkBytes('push: payload', payload);
    const { error } = this.#engine.request('localDataTrackTryPush', {
      trackHandle: this.#handle,
      frame: {
        payload,
        ...(userTimestamp === undefined ? {} : { userTimestamp: checkStamp(userTimestamp) }),
      },
    });
    if (!error) return true;
    const { TRACK_UNPUBLISHED, QUEUE_FULL } = protocol.PushErrorCode;
    if (error.code === QUEUE_FULL) return false;
    const code = error.code === TRACK_UNPUBLISHED ? 'OFFHOOK_CLOSED' : 'OFFHOOK_INVALID_REQUEST';
    throw new OffhookError(code, `push: ${error.message}`);
  }

  /** Ends the track for everybody who reads it. */
  unpublish(): void {
    this.#engine.request('localDataTrackUnpublish', { trackHandle: this.#handle });
  }

  /** `using` calls it: as `unpublish`. */
  [Symbol.dispose](): void {
    this.unpublish();
  }
}

function checkStamp(stamp: bigint): bigint {
  if (typeof stamp === 'bigint' && BigInt.asUintN(64, stamp) === stamp) return stamp;
  throw new OffhookError('OFFHOOK_INVALID_REQUEST', `push: userTimestamp is ${String(stamp)}`, {
    advice: 'Give a bigint from 0 to 2^64 - 1.',
  });
}

/** A data track of another participant. The server sends it only while it is read. */
export class RemoteDataTrack {
  /** As it was announced. */
  readonly info: DataTrackInfo;
  readonly publisherIdentity: string;
  readonly #engine = LibraryEngine.shared;
  readonly #handle: bigint;

  /** @internal */
  constructor({ handle, info, publisherIdentity = '' }: OwnedTrack) {
    this.info = trackInfo(info);
    this.publisherIdentity = publisherIdentity;
    this.#handle = handle?.id ?? 0n;
    this.#engine.dropWith(this, this.#handle);
  }

  /** False once its publisher, or the room, is gone. */
  get isPublished(): boolean {
    const { isPublished } = this.#engine.request('remoteDataTrackIsPublished', { trackHandle: this.#handle });
    return isPublished ?? false;
  }

  /** How many frames may be incomplete at once, 1 by default. Set more when packets arrive out of order. */
  setMaxPartialFrames(frames: number): void {
    const maxPartialFrames = checkInteger('frames', frames, 1, 256);
    this.#engine.request('remoteDataTrackSetPipelineOptions', {
      trackHandle: this.#handle,
      options: { maxPartialFrames },
    });
  }

  /** Subscribes to the track, until the stream is closed. A track may have several streams. */
  openStream(options: DataTrackStreamOptions = {}): DataTrackStream {
    return new DataTrackStream(this.#handle, options);
  }

  /**
   * The track's frames, until it ends or the loop is left.
   *
   * @throws OffhookError `OFFHOOK_DEADLINE` when the server does not begin to send, `OFFHOOK_CLOSED`
   * @example
   * for await (const { payload } of track.frames()) console.log(new TextDecoder().decode(payload));
   */
  frames(options: DataTrackStreamOptions = {}): AsyncGenerator<DataTrackFrame, void, void> {
    return this.openStream(options)[Symbol.asyncIterator]();
  }
}

/** The frames of a data track, as they come. Iterate over it; it ends with the track. */
export class DataTrackStream extends FrameStream<DataTrackFrame> {
  #isWanted = false;

  /** @internal `RemoteDataTrack.openStream` makes them. */
  constructor(trackHandle: bigint, options: DataTrackStreamOptions) {
    checkOptions('the options of a data track stream', options, ['bufferFrames', 'signal']);
    const { bufferFrames = 16, signal } = options;
    checkSignal(signal);
    const bufferSize = checkInteger('bufferFrames', bufferFrames, 1, 65_535);
    // The engine hands over a frame when it is asked for one; the others wait there.
    super(1);
    const { stream } = this.engine.request('subscribeDataTrack', { trackHandle, options: { bufferSize } });
    this.listen(stream?.handle?.id ?? 0n, signal, (message) => {
      if (message.case !== 'dataTrackStreamEvent') return;
      const { detail } = message.value;
      if (detail.case === 'eos') this.ended();
      if (detail.case !== 'frameReceived') return;
      this.#isWanted = false;
      const { payload = new Uint8Array(), userTimestamp } = detail.value.frame ?? {};
      this.arrived.push({ payload, ...(userTimestamp === undefined ? {} : { userTimestamp }) });
    });
  }

  protected override wanted(): void {
    if (this.#isWanted) return;
    this.#isWanted = true;
    this.engine.request('dataTrackStreamRead', { streamHandle: this.handle });
  }

  protected override frameOf(frame: DataTrackFrame): DataTrackFrame {
    return frame;
  }
}

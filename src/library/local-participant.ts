import { RpcError } from '../data/index.js';
import { untilAborted } from '../deadlines/index.js';
import {
  checkBytes,
  checkFlag,
  checkFunction,
  checkInteger,
  checkList,
  checkName,
  checkObject,
  checkOneOf,
  checkOptions,
  checkSignal,
  checkText,
  checkTextRecord,
  checkTexts,
  describeError,
  OffhookError,
} from '../errors/index.js';
import { type InitOf, protocol, type RequestOf } from '../ffi/index.js';
import { limits } from '../limits.js';
import { createLogger } from '../logging/index.js';
import type { AudioSource } from './audio.js';
import {
  type ByteStreamInfo,
  type ByteStreamOptions,
  ByteStreamWriter,
  byteFields,
  byteInfo,
  type TextStreamInfo,
  type TextStreamOptions,
  TextStreamWriter,
  textFields,
  textInfo,
} from './data-streams.js';
import {
  type DataTrackSchema,
  ffiDataTrackOptions,
  ffiSchema,
  LocalDataTrack,
  type PublishDataTrackOptions,
} from './data-tracks.js';
import type { EncodedVideoSource } from './encoded-video.js';
import { LibraryEngine } from './engine.js';
import { Participant, type ParticipantInfo, publicationOf } from './participant.js';
import { LocalAudioTrack, LocalTrackPublication, LocalVideoTrack, publicationInfo } from './tracks.js';
import { sourceNumber, type TrackSource } from './values.js';
import { codecNumbers, type VideoCodec, type VideoSource } from './video.js';

/** The keys of a telephone. */
const dtmfDigits = [...'0123456789*#ABCD'];

export interface PublishAudioOptions {
  /** Default `audio`. */
  name?: string;
  /** Default `microphone`. */
  source?: TrackSource;
  /** Bits per second; default 32,000 mono, 64,000 stereo. */
  bitrateBps?: number;
  /** Discontinuous transmission: nothing is sent in silence; default true. */
  dtx?: boolean;
  /** Redundant audio (RFC 2198); default true. */
  red?: boolean;
  /** Name of the stream that the track belongs to. */
  stream?: string;
}

export interface PublishVideoOptions {
  /** Default `video`. */
  name?: string;
  /** Default `camera`, or `screenshare` of a source that is one. */
  source?: TrackSource;
  /** Default `h264`. One that cannot be encoded in real time here is sent as `h264`, and a log line says so. */
  codec?: VideoCodec;
  /** Bits per second, of the highest layer; default by the size of the source. */
  bitrateBps?: number;
  /** Frames beyond it are dropped; default by the size of the source. */
  framesPerSecond?: number;
  /** Sends several layers; each receiver gets the best that its connection carries. Default true. */
  simulcast?: boolean;
  /** Name of the stream that the track belongs to. */
  stream?: string;
}

export interface PublishDataOptions {
  /** Default true. */
  reliable?: boolean;
  topic?: string;
  /** Default: everybody. */
  destinationIdentities?: readonly string[];
}

export interface PerformRpcOptions {
  destinationIdentity: string;
  method: string;
  /** Default: empty. */
  payload?: string;
  /** How long the answer may take; default 15,000. */
  responseTimeoutMs?: number;
  /** Aborting it stops waiting for the answer: performRpc rejects with the signal's reason. The other side goes on. */
  signal?: AbortSignal;
}

/** A remote procedure call that came in. */
export interface RpcInvocation {
  requestId: string;
  callerIdentity: string;
  payload: string;
  responseTimeoutMs: number;
}

/** Returns the answer, or throws an `RpcError` to answer with that. */
export type RpcHandler = (invocation: RpcInvocation) => string | Promise<string>;

export interface ParticipantTrackPermission {
  participantIdentity: string;
  /** All tracks, now and later; takes precedence over `trackSids`. */
  allowAll?: boolean;
  trackSids?: readonly string[];
}

export interface TranscriptionSegment {
  id: string;
  text: string;
  /** Milliseconds since the track began. */
  startTimeMs: number;
  endTimeMs: number;
  final: boolean;
  /** As in `en`. */
  language: string;
}

const log = createLogger('library');

const audioOptions = ['name', 'source', 'bitrateBps', 'dtx', 'red', 'stream'];
const videoOptions = ['name', 'source', 'codec', 'bitrateBps', 'framesPerSecond', 'simulcast', 'stream'];

/** The program itself in the room. */
export class LocalParticipant extends Participant {
  readonly #engine = LibraryEngine.shared;
  readonly #handle: bigint;
  readonly #publications = new Map<string, LocalTrackPublication>();
  readonly #rpcHandlers = new Map<string, RpcHandler>();

  /** @internal */
  constructor(info: ParticipantInfo, handle: bigint) {
    super(info);
    this.#handle = handle;
    this.#engine.listen(handle, (message) => {
      if (message.case === 'rpcMethodInvocation') void this.#answerRpc(message.value);
    });
  }

  /** Our publications, by sid. */
  override get publications(): ReadonlyMap<string, LocalTrackPublication> {
    return this.#publications;
  }

  /** Our publication of a source, `microphone` for example. */
  publication(source: TrackSource): LocalTrackPublication | undefined {
    return publicationOf(this.#publications, source);
  }

  /**
   * Publishes a source; resolves when the server has taken the track.
   *
   * @throws OffhookError `OFFHOOK_SERVER_REFUSED`, `OFFHOOK_DEADLINE`, `OFFHOOK_CLOSED`
   * @example
   * const publication = await room.localParticipant.publishAudio(new AudioSource({ sampleRate: 48_000 }));
   */
  async publishAudio(source: AudioSource, options: PublishAudioOptions = {}): Promise<LocalTrackPublication> {
    checkOptions('publishAudio', options, audioOptions);
    return this.publishTrack(
      new LocalAudioTrack(checkText('name', options.name ?? 'audio'), source),
      options,
    );
  }

  /**
   * Publishes video; resolves when the server has taken the track.
   *
   * @throws OffhookError `OFFHOOK_NOT_SUPPORTED` without the package of video codecs (`npm install @napi-rs/webcodecs`),
   * `OFFHOOK_SERVER_REFUSED`, `OFFHOOK_DEADLINE`, `OFFHOOK_CLOSED`
   * @example
   * const source = new VideoSource({ width: 1_280, height: 720 });
   * await room.localParticipant.publishVideo(source, { framesPerSecond: 15 });
   */
  async publishVideo(
    source: VideoSource | EncodedVideoSource,
    options: PublishVideoOptions = {},
  ): Promise<LocalTrackPublication> {
    checkOptions('publishVideo', options, videoOptions);
    return this.publishTrack(
      new LocalVideoTrack(checkText('name', options.name ?? 'video'), source),
      options,
    );
  }

  /** As publishAudio and publishVideo, for a track that was made before (to be muted before it is published, say). */
  async publishTrack(track: LocalAudioTrack, options?: PublishAudioOptions): Promise<LocalTrackPublication>;
  /** As above, for video. */
  async publishTrack(track: LocalVideoTrack, options?: PublishVideoOptions): Promise<LocalTrackPublication>;
  async publishTrack(
    track: LocalAudioTrack | LocalVideoTrack,
    options: PublishAudioOptions & PublishVideoOptions = {},
  ): Promise<LocalTrackPublication> {
    if (!(track instanceof LocalAudioTrack || track instanceof LocalVideoTrack)) {
      throw new OffhookError(
        'OFFHOOK_INVALID_REQUEST',
        'publishTrack takes a LocalAudioTrack or LocalVideoTrack',
        {
          advice: 'Give `new LocalAudioTrack(name, source)`, or call publishAudio with the source.',
        },
      );
    }
    const { message } = await this.#engine.call('publishTrack', {
      localParticipantHandle: this.#handle,
      trackHandle: track.handle,
      options: track instanceof LocalVideoTrack ? ffiVideoOptions(track, options) : ffiAudioOptions(options),
    });
    const { handle, info } = (message.case === 'publication' && message.value) || {};
    const publication = new LocalTrackPublication(publicationInfo(info), track, handle?.id ?? 0n);
    this.#publications.set(publication.sid, publication);
    return publication;
  }

  /**
   * The track remains usable, and may be published again.
   *
   * @throws OffhookError `OFFHOOK_INVALID_REQUEST` when no track with that sid is published
   */
  async unpublish(publicationSid: string): Promise<void> {
    checkName('publicationSid', publicationSid);
    await this.#engine.call('unpublishTrack', {
      localParticipantHandle: this.#handle,
      trackSid: publicationSid,
      stopOnUnpublish: false,
    });
  }

  /** @throws OffhookError when the server refuses, or does not answer */
  async setMetadata(metadata: string): Promise<void> {
    checkText('metadata', metadata);
    await this.#engine.call('setLocalMetadata', { localParticipantHandle: this.#handle, metadata });
  }

  /** @throws OffhookError when the server refuses, or does not answer */
  async setName(name: string): Promise<void> {
    checkText('name', name);
    await this.#engine.call('setLocalName', { localParticipantHandle: this.#handle, name });
  }

  /** Sets the attributes given; an empty value removes one. @throws OffhookError when the server refuses */
  async setAttributes(attributes: Record<string, string>): Promise<void> {
    checkTextRecord('attributes', attributes);
    const entries = Object.entries(attributes).map(([key, value]) => ({ key, value }));
    await this.#engine.call('setLocalAttributes', {
      localParticipantHandle: this.#handle,
      attributes: entries,
    });
  }

  /**
   * Sends a packet of data to the others.
   *
   * @example
   * await room.localParticipant.publishData(new TextEncoder().encode('ding'), { topic: 'bell' });
   */
  async publishData(payload: Uint8Array, options: PublishDataOptions = {}): Promise<void> {
    checkBytes('payload', payload);
    checkOptions('publishData', options, ['reliable', 'topic', 'destinationIdentities']);
    const { reliable = true, topic, destinationIdentities = [] } = options;
    await this.#engine.call('publishData', {
      localParticipantHandle: this.#handle,
      dataPtr: payload.length === 0 ? 0n : this.#engine.addressOf(payload),
      dataLen: BigInt(payload.length),
      reliable: checkFlag('reliable', reliable),
      destinationIdentities: checkTexts('destinationIdentities', destinationIdentities),
      ...(topic === undefined ? {} : { topic: checkText('topic', topic) }),
    });
  }

  /** Sends a tone of a telephone's keypad. @param code 0 to 255 @param digit `0` to `9`, `*`, `#`, `A` to `D` */
  async publishDtmf(
    code: number,
    digit: string,
    destinationIdentities: readonly string[] = [],
  ): Promise<void> {
    await this.#engine.call('publishSipDtmf', {
      localParticipantHandle: this.#handle,
      code: checkInteger('code', code, 0, 255),
      digit: checkOneOf('digit', digit, dtmfDigits),
      destinationIdentities: checkTexts('destinationIdentities', destinationIdentities),
    });
  }

  /** Publishes what was said on a track, as text. */
  async publishTranscription(transcription: {
    participantIdentity: string;
    trackSid: string;
    segments: readonly TranscriptionSegment[];
  }): Promise<void> {
    checkOptions('publishTranscription', transcription, ['participantIdentity', 'trackSid', 'segments']);
    const { participantIdentity, trackSid, segments } = transcription;
    await this.#engine.call('publishTranscription', {
      localParticipantHandle: this.#handle,
      participantIdentity: checkText('participantIdentity', participantIdentity),
      trackId: checkText('trackSid', trackSid),
      segments: checkList('segments', segments).map(ffiSegment),
    });
  }

  /**
   * Sends a whole text as a stream.
   *
   * @example
   * await room.localParticipant.sendText('Hello', { topic: 'chat' });
   */
  async sendText(text: string, options: TextStreamOptions = {}): Promise<TextStreamInfo> {
    const { result } = await this.#engine.call('sendText', {
      localParticipantHandle: this.#handle,
      text: checkText('text', text),
      options: textFields('sendText', options),
    });
    return textInfo(result.case === 'info' ? result.value : undefined);
  }

  /** Sends bytes as a stream. */
  async sendBytes(bytes: Uint8Array, options: ByteStreamOptions = {}): Promise<ByteStreamInfo> {
    const { result } = await this.#engine.call('sendBytes', {
      localParticipantHandle: this.#handle,
      bytes: checkBytes('bytes', bytes),
      options: byteFields('sendBytes', options),
    });
    return byteInfo(result.case === 'info' ? result.value : undefined);
  }

  /**
   * Sends a file as it is read; its name and size are in the stream's header.
   *
   * @throws OffhookError `OFFHOOK_INVALID_REQUEST` when it cannot be read
   */
  async sendFile(path: string, options: ByteStreamOptions = {}): Promise<ByteStreamInfo> {
    const { result } = await this.#engine.call('sendFile', {
      localParticipantHandle: this.#handle,
      filePath: checkName('path', path),
      options: byteFields('sendFile', options),
    });
    return byteInfo(result.case === 'info' ? result.value : undefined);
  }

  /** Opens a text stream, to be written piece by piece. */
  async streamText(options: TextStreamOptions = {}): Promise<TextStreamWriter> {
    const { result } = await this.#engine.call('textStreamOpen', {
      localParticipantHandle: this.#handle,
      options: textFields('streamText', options),
    });
    const { handle, info } = (result.case === 'writer' && result.value) || {};
    return new TextStreamWriter(handle?.id ?? 0n, textInfo(info));
  }

  /** Opens a stream of bytes, to be written piece by piece. */
  async streamBytes(options: ByteStreamOptions = {}): Promise<ByteStreamWriter> {
    const { result } = await this.#engine.call('byteStreamOpen', {
      localParticipantHandle: this.#handle,
      options: byteFields('streamBytes', options),
    });
    const { handle, info } = (result.case === 'writer' && result.value) || {};
    return new ByteStreamWriter(handle?.id ?? 0n, byteInfo(info));
  }

  /**
   * Publishes a track of data frames, for sensors and the like: a frame may be lost on the way, and is not sent again.
   *
   * @throws OffhookError `OFFHOOK_INVALID_REQUEST` for a name that is taken or a schema that does not fit,
   * `OFFHOOK_SERVER_REFUSED`, `OFFHOOK_DEADLINE` also from a server without data tracks, `OFFHOOK_CLOSED`
   * @example
   * const track = await room.localParticipant.publishDataTrack({ name: 'temperature', frameEncoding: 'json' });
   * track.push({ payload: new TextEncoder().encode('{"celsius":21}') });
   */
  async publishDataTrack(options: PublishDataTrackOptions): Promise<LocalDataTrack> {
    const { result } = await this.#engine.call('publishDataTrack', {
      localParticipantHandle: this.#handle,
      options: ffiDataTrackOptions(options),
    });
    return new LocalDataTrack((result.case === 'track' && result.value) || {});
  }

  /** Lets others read the definition of a schema. @throws OffhookError when the server refuses, or does not answer */
  async defineSchema(id: DataTrackSchema, definition: string): Promise<void> {
    await this.#engine.call('defineSchema', {
      localParticipantHandle: this.#handle,
      schemaId: ffiSchema(id),
      definition: checkText('definition', definition),
    });
  }

  /** The definition of a schema that a participant has defined. @throws OffhookError as `defineSchema` */
  async getSchema(id: DataTrackSchema, participantIdentity: string): Promise<string> {
    const { definition } = await this.#engine.call('getSchema', {
      localParticipantHandle: this.#handle,
      schemaId: ffiSchema(id),
      participantIdentity: checkName('participantIdentity', participantIdentity),
    });
    return definition ?? '';
  }

  /**
   * Calls a method that another participant has registered.
   *
   * @throws RpcError with one of `rpcErrorCodes`, or with what the other side's handler threw
   * @example
   * const answer = await room.localParticipant.performRpc({ destinationIdentity: 'waiter', method: 'order', payload: 'soup' });
   */
  async performRpc(options: PerformRpcOptions): Promise<string> {
    checkOptions('performRpc', options, [
      'destinationIdentity',
      'method',
      'payload',
      'responseTimeoutMs',
      'signal',
    ]);
    const { destinationIdentity, method, payload = '', responseTimeoutMs, signal } = options;
    checkSignal(signal);
    signal?.throwIfAborted();
    const called = this.#engine.call('performRpc', {
      localParticipantHandle: this.#handle,
      destinationIdentity: checkName('destinationIdentity', destinationIdentity),
      method: checkName('method', method),
      payload: checkText('payload', payload),
      ...(responseTimeoutMs === undefined
        ? {}
        : { responseTimeoutMs: checkInteger('responseTimeoutMs', responseTimeoutMs, 1, limits.timer.value) }),
    });
    return (await untilAborted(called, signal)).payload ?? '';
  }

  /** A method has one handler; a later one replaces it. */
  registerRpcMethod(method: string, handler: RpcHandler): void {
    checkName('method', method);
    checkFunction('handler', handler);
    this.#rpcHandlers.set(method, handler);
    this.#engine.request('registerRpcMethod', { localParticipantHandle: this.#handle, method });
  }

  /** Later calls are answered with `unsupportedMethod`. */
  unregisterRpcMethod(method: string): void {
    this.#rpcHandlers.delete(checkName('method', method));
    this.#engine.request('unregisterRpcMethod', { localParticipantHandle: this.#handle, method });
  }

  /** Who may subscribe to our tracks; kept through reconnects. */
  setTrackSubscriptionPermissions(
    allParticipantsAllowed: boolean,
    permissions: readonly ParticipantTrackPermission[] = [],
  ): void {
    this.#engine.request('setTrackSubscriptionPermissions', {
      localParticipantHandle: this.#handle,
      allParticipantsAllowed: checkFlag('allParticipantsAllowed', allParticipantsAllowed),
      permissions: checkList('permissions', permissions).map(ffiPermission),
    });
  }

  /** Reliable (or lossy) packets wait while more than this many bytes are buffered; default 2 MiB. */
  setBufferedAmountLowThreshold(kind: 'reliable' | 'lossy', thresholdBytes: number): void {
    checkOneOf('kind', kind, ['reliable', 'lossy']);
    this.#engine.request('setDataChannelBufferedAmountLowThreshold', {
      localParticipantHandle: this.#handle,
      kind: kind === 'reliable' ? protocol.DataPacketKind.KIND_RELIABLE : protocol.DataPacketKind.KIND_LOSSY,
      threshold: BigInt(checkInteger('thresholdBytes', thresholdBytes, 0, Number.MAX_SAFE_INTEGER)),
    });
  }

  /** @internal */
  removePublication(sid: string): LocalTrackPublication | undefined {
    const publication = this.#publications.get(sid);
    this.#publications.delete(sid);
    return publication;
  }

  /** @internal */
  republished(
    previousSid: string,
    info: Parameters<typeof publicationInfo>[0],
  ): LocalTrackPublication | undefined {
    const publication = this.removePublication(previousSid);
    publication?.update(publicationInfo(info));
    if (publication) this.#publications.set(publication.sid, publication);
    return publication;
  }

  /** @internal */
  close(): void {
    this.#engine.drop(this.#handle);
  }

  async #answerRpc(call: {
    invocationId?: bigint;
    method?: string;
    requestId?: string;
    callerIdentity?: string;
    payload?: string;
    responseTimeoutMs?: number;
  }): Promise<void> {
    const common = { localParticipantHandle: this.#handle, invocationId: call.invocationId };
    let answer: { payload: string } | { error: { code: number; message: string; data: string } };
    try {
      const handler = this.#rpcHandlers.get(call.method ?? '');
      if (!handler) throw RpcError.builtIn('unsupportedMethod');
      const payload = await handler({
        requestId: call.requestId ?? '',
        callerIdentity: call.callerIdentity ?? '',
        payload: call.payload ?? '',
        responseTimeoutMs: call.responseTimeoutMs ?? 0,
      });
      answer = { payload: checkText('the answer', payload) };
    } catch (error) {
      const { code, message, data } =
        error instanceof RpcError ? error : RpcError.builtIn('applicationError', describeError(error));
      answer = { error: { code, message, data } };
    }
    try {
      this.#engine.request('rpcMethodInvocationResponse', { ...common, ...answer });
    } catch (error) {
      // The room may be over by now: there is nobody left to answer.
      log.debug(`the answer to RPC method ${call.method} was not sent: ${describeError(error)}`);
    }
  }
}

function ffiSegment(segment: unknown) {
  checkObject('an item of segments', segment);
  const { id, text, startTimeMs, endTimeMs, final, language } = segment as TranscriptionSegment;
  return {
    id: checkText('id of a segment', id),
    text: checkText('text of a segment', text),
    startTime: BigInt(checkInteger('startTimeMs', startTimeMs, 0, Number.MAX_SAFE_INTEGER)),
    endTime: BigInt(checkInteger('endTimeMs', endTimeMs, 0, Number.MAX_SAFE_INTEGER)),
    final: checkFlag('final of a segment', final),
    language: checkText('language of a segment', language),
  };
}

function ffiPermission(permission: unknown) {
  checkOptions('an item of permissions', permission, ['participantIdentity', 'allowAll', 'trackSids']);
  const { participantIdentity, allowAll = false, trackSids = [] } = permission as ParticipantTrackPermission;
  return {
    participantIdentity: checkName('participantIdentity', participantIdentity),
    allowAll: checkFlag('allowAll', allowAll),
    allowedTrackSids: checkTexts('trackSids', trackSids),
  };
}

type FfiPublishOptions = NonNullable<InitOf<RequestOf<'publishTrack'>>['options']>;

function ffiAudioOptions(options: PublishAudioOptions): FfiPublishOptions {
  checkOptions('publishTrack', options, audioOptions);
  const { source = 'microphone', bitrateBps, dtx = true, red = true, stream } = options;
  checkOneOf('source', source, ['microphone', 'screenshareAudio', 'unknown']);
  return {
    source: sourceNumber(source),
    dtx: checkFlag('dtx', dtx),
    red: checkFlag('red', red),
    ...(stream === undefined ? {} : { stream: checkText('stream', stream) }),
    ...(bitrateBps === undefined
      ? {}
      : { audioEncoding: { maxBitrate: BigInt(checkInteger('bitrateBps', bitrateBps, 6_000, 510_000)) } }),
  };
}

function ffiVideoOptions(track: LocalVideoTrack, options: PublishVideoOptions): FfiPublishOptions {
  checkOptions('publishTrack', options, videoOptions);
  const { source = track.source.isScreencast ? 'screenshare' : 'camera', codec = 'h264', stream } = options;
  const { bitrateBps, framesPerSecond, simulcast = true } = options;
  checkOneOf('source', source, ['camera', 'screenshare', 'unknown']);
  checkOneOf('codec', codec, Object.keys(codecNumbers) as VideoCodec[]);
  // 0: by the size of the source.
  const maxBitrate =
    bitrateBps === undefined ? 0 : checkInteger('bitrateBps', bitrateBps, 30_000, 100_000_000);
  const maxFramerate =
    framesPerSecond === undefined ? 0 : checkInteger('framesPerSecond', framesPerSecond, 1, 120);
  return {
    source: sourceNumber(source),
    videoCodec: codecNumbers[codec],
    simulcast: checkFlag('simulcast', simulcast),
    videoEncoding: { maxBitrate: BigInt(maxBitrate), maxFramerate },
    ...(stream === undefined ? {} : { stream: checkText('stream', stream) }),
  };
}

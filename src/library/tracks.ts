import { checkFlag, checkInstance, checkInteger, checkOneOf, checkText } from '../errors/index.js';
import { type AudioFrame, AudioSource, AudioStream, type AudioStreamOptions } from './audio.js';
import { EncodedVideoSource } from './encoded-video.js';
import { LibraryEngine } from './engine.js';
import { type TrackKind, type TrackSource, trackKind, trackSource } from './values.js';
import { type VideoFrame, VideoSource, VideoStream, type VideoStreamOptions } from './video.js';

/** A published track as the server describes it. A snapshot: it does not change. */
export interface TrackPublicationInfo {
  sid: string;
  name: string;
  kind: TrackKind;
  source: TrackSource;
  muted: boolean;
  mimeType: string;
  simulcasted: boolean;
  /** Pixels; 0 for audio. */
  width: number;
  height: number;
  isEncrypted: boolean;
}

interface FfiPublicationInfo {
  sid?: string;
  name?: string;
  kind?: number;
  source?: number;
  muted?: boolean;
  mimeType?: string;
  simulcasted?: boolean;
  width?: number;
  height?: number;
  encryptionType?: number;
}

export function publicationInfo(info: FfiPublicationInfo | undefined): TrackPublicationInfo {
  return {
    sid: info?.sid ?? '',
    name: info?.name ?? '',
    kind: trackKind(info?.kind),
    source: trackSource(info?.source),
    muted: info?.muted ?? false,
    mimeType: info?.mimeType ?? '',
    simulcasted: info?.simulcasted ?? false,
    width: info?.width ?? 0,
    height: info?.height ?? 0,
    isEncrypted: (info?.encryptionType ?? 0) !== 0,
  };
}

/** A track as the server knows it. Its properties are the latest that the server sent. */
export abstract class TrackPublication {
  #info: TrackPublicationInfo;

  /** @internal */
  constructor(info: TrackPublicationInfo) {
    this.#info = info;
  }

  /** The latest description by the server. */
  get info(): TrackPublicationInfo {
    return this.#info;
  }

  /** The server's id of the publication. */
  get sid(): string {
    return this.#info.sid;
  }

  /** As it was published. */
  get name(): string {
    return this.#info.name;
  }

  /** `audio` or `video`. */
  get kind(): TrackKind {
    return this.#info.kind;
  }

  /** What it carries: a microphone, a screen. */
  get source(): TrackSource {
    return this.#info.source;
  }

  /** Whether its publisher has muted it. */
  get muted(): boolean {
    return this.#info.muted;
  }

  /** @internal */
  update(changes: Partial<TrackPublicationInfo>): void {
    this.#info = { ...this.#info, ...changes };
  }
}

/** A source under a name, that may be published, muted, unpublished and published again. */
export abstract class LocalTrack {
  readonly name: string;
  /** @internal */
  readonly handle: bigint;
  #muted = false;

  /** @internal */
  constructor(name: string, handle: bigint | undefined) {
    this.name = name;
    this.handle = handle ?? 0n;
    LibraryEngine.shared.dropWith(this, this.handle);
  }

  /** The last value given to `setMuted`. */
  get muted(): boolean {
    return this.#muted;
  }

  /** While a track is muted, the others hear silence or see nothing new, and are told that it is muted. May be called before publishing. */
  setMuted(muted: boolean): void {
    checkFlag('muted', muted);
    if (this.#muted === muted) return;
    this.#muted = muted;
    LibraryEngine.shared.request('localTrackMute', { trackHandle: this.handle, mute: muted });
  }
}

/** Audio of a source, as `publishTrack` takes it. */
export class LocalAudioTrack extends LocalTrack {
  readonly source: AudioSource;

  constructor(name: string, source: AudioSource) {
    const { handle } = checkInstance('the source of an audio track', source, AudioSource);
    const request = { name: checkText('the name of a track', name), sourceHandle: handle };
    super(name, LibraryEngine.shared.request('createAudioTrack', request).track?.handle?.id);
    this.source = source;
  }
}

/** Video of a source, as `publishTrack` takes it. */
export class LocalVideoTrack extends LocalTrack {
  readonly source: VideoSource | EncodedVideoSource;

  constructor(name: string, source: VideoSource | EncodedVideoSource) {
    if (!(source instanceof EncodedVideoSource))
      checkInstance('the source of a video track', source, VideoSource);
    const request = { name: checkText('the name of a track', name), sourceHandle: source.handle };
    super(name, LibraryEngine.shared.request('createVideoTrack', request).track?.handle?.id);
    this.source = source;
  }
}

/** A track of ours as the server knows it. After a full reconnect it is the same object with another sid. */
export class LocalTrackPublication extends TrackPublication {
  readonly track: LocalAudioTrack | LocalVideoTrack;
  /** @internal */
  readonly handle: bigint;

  /** @internal */
  constructor(info: TrackPublicationInfo, track: LocalAudioTrack | LocalVideoTrack, handle: bigint) {
    super(info);
    this.track = track;
    this.handle = handle;
    LibraryEngine.shared.dropWith(this, handle);
  }

  /** As the track's own `setMuted`. */
  setMuted(muted: boolean): void {
    this.track.setMuted(muted);
  }
}

/** A track that is being received. */
export abstract class RemoteTrack {
  readonly sid: string;
  readonly kind: TrackKind;
  /** @internal */
  readonly handle: bigint;

  /** @internal */
  constructor(sid: string, kind: TrackKind, handle: bigint) {
    this.sid = sid;
    this.kind = kind;
    this.handle = handle;
    LibraryEngine.shared.dropWith(this, handle);
  }
}

/** An audio track that is being received. */
export class RemoteAudioTrack extends RemoteTrack {
  /**
   * Opens a view of the track, with its own rate, channels and filter. Frames wait in it from now on: read or close it.
   *
   * @throws OffhookError `OFFHOOK_INVALID_REQUEST` for a format or a size that is out of limits
   */
  openStream(options: AudioStreamOptions = {}): AudioStream {
    return new AudioStream(this.handle, options);
  }

  /**
   * The track's frames, one after another, until it ends or the loop is left.
   *
   * @example
   * for await (const { data } of track.frames({ sampleRate: 16_000 })) transcribe(data);
   */
  frames(options: AudioStreamOptions = {}): AsyncGenerator<AudioFrame, void, void> {
    return this.openStream(options)[Symbol.asyncIterator]();
  }
}

/** A video track that is being received. */
export class RemoteVideoTrack extends RemoteTrack {
  /**
   * Opens a view of the track, with its own format. Without `queueSizeFrames` it keeps the newest frame for the program.
   *
   * @throws OffhookError `OFFHOOK_INVALID_REQUEST` for an unknown format
   */
  openStream(options: VideoStreamOptions = {}): VideoStream {
    return new VideoStream(this.handle, options);
  }

  /**
   * The track's frames until it ends or the loop is left; a program that is slow gets the newest.
   *
   * @example
   * for await (const { data, width, height } of track.frames({ format: 'rgba' })) show(data, width, height);
   */
  frames(options: VideoStreamOptions = {}): AsyncGenerator<VideoFrame, void, void> {
    return this.openStream(options)[Symbol.asyncIterator]();
  }
}

export type VideoQuality = 'low' | 'medium' | 'high';

const qualityNumbers: Record<VideoQuality, number> = { low: 0, medium: 1, high: 2 };

/** A track that a remote participant publishes, subscribed or not. */
export class RemoteTrackPublication extends TrackPublication {
  readonly participantIdentity: string;
  /** The track while it is being received. */
  track: RemoteTrack | undefined;
  readonly #engine = LibraryEngine.shared;
  readonly #handle: bigint;
  #isDesired: boolean;
  #isEnabled = true;

  /** @internal */
  constructor(info: TrackPublicationInfo, participantIdentity: string, handle: bigint, isDesired: boolean) {
    super(info);
    this.participantIdentity = participantIdentity;
    this.#handle = handle;
    this.#isDesired = isDesired;
    this.#engine.dropWith(this, handle);
  }

  /** Whether the program wants the track; `track` is there once the server sends it. */
  get isDesired(): boolean {
    return this.#isDesired;
  }

  /** The last value given to `setEnabled`; true at first. */
  get isEnabled(): boolean {
    return this.#isEnabled;
  }

  /** Asks for the track, or gives it up; `trackSubscribed` and `trackUnsubscribed` follow. */
  setSubscribed(subscribed: boolean): void {
    checkFlag('subscribed', subscribed);
    if (this.#isDesired === subscribed) return;
    this.#isDesired = subscribed;
    this.#engine.request('setSubscribed', { publicationHandle: this.#handle, subscribe: subscribed });
  }

  /** Asks the server to send the track's media, or to hold it back while the subscription stays. */
  setEnabled(enabled: boolean): void {
    checkFlag('enabled', enabled);
    this.#isEnabled = enabled;
    this.#engine.request('enableRemoteTrackPublication', { trackPublicationHandle: this.#handle, enabled });
  }

  /** Of a simulcast video track, the layer wanted. */
  setQuality(quality: VideoQuality): void {
    checkOneOf('quality', quality, ['low', 'medium', 'high']);
    this.#engine.request('setRemoteTrackPublicationQuality', {
      trackPublicationHandle: this.#handle,
      quality: qualityNumbers[quality],
    });
  }

  /** Of a simulcast video track, the size in pixels at which it is shown. */
  setDimensions(width: number, height: number): void {
    checkInteger('width', width, 1, 65_535);
    checkInteger('height', height, 1, 65_535);
    this.#engine.request('updateRemoteTrackPublicationDimension', {
      trackPublicationHandle: this.#handle,
      width,
      height,
    });
  }
}

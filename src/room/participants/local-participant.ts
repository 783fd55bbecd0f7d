import { randomUUID } from 'node:crypto';
import {
  ChatMessage,
  type DataTrackSchemaId,
  SipDTMF,
  SubscriptionPermission,
  Transcription,
  type TranscriptionSegment,
  UpdateParticipantMetadata,
  UserPacket,
} from '@livekit/protocol';
import type { AudioSource } from '../../audio/index.js';
import type {
  ByteStreamInfo,
  ByteStreamOptions,
  ByteStreamWriter,
  PacketContent,
  PacketKind,
  PacketRouting,
  PerformRpcOptions,
  RpcHandler,
  TextStreamInfo,
  TextStreamOptions,
  TextStreamWriter,
} from '../../data/index.js';
import type { VideoSource } from '../../video/index.js';
import type { Requests } from '../connection/requests.js';
import type { DataPlane } from '../data/data-plane.js';
import type { DataTracks } from '../data/data-tracks.js';
import type { LocalDataTrack, PublishDataTrackOptions } from '../data/local-data-tracks.js';
import type { ParticipantInfo } from '../info.js';
import type {
  ParticipantTrackPermission,
  PublishAudioOptions,
  PublishDataOptions,
  PublishVideoOptions,
} from '../options.js';
import type { Subscriptions } from '../subscriptions.js';
import { LocalAudioTrack, LocalVideoTrack } from '../tracks/local-track.js';
import type { LocalTrackPublication } from '../tracks/local-track-publication.js';
import type { LocalTracks } from '../tracks/local-tracks.js';
import { Participant } from './participant.js';

/** What the local participant asks of its room. */
export interface LocalParticipantHost {
  readonly data: DataPlane;
  readonly dataTracks: DataTracks;
  readonly requests: Requests;
  readonly subscriptions: Subscriptions;
  readonly tracks: LocalTracks;
  publishTrack(
    track: LocalAudioTrack | LocalVideoTrack,
    options: PublishAudioOptions | PublishVideoOptions,
  ): Promise<LocalTrackPublication>;
}

/** The program itself in the room. */
export class LocalParticipant extends Participant {
  #publications = new Map<string, LocalTrackPublication>();
  #host: LocalParticipantHost;

  constructor(info: ParticipantInfo, host: LocalParticipantHost) {
    super(info);
    this.#host = host;
  }

  /** By sid. */
  get publications(): ReadonlyMap<string, LocalTrackPublication> {
    return this.#publications;
  }

  /**
   * Publishes a source; resolves when the server has taken the track. It is sent as soon as media is up, a moment later;
   * what is captured before is played to nobody.
   *
   * @throws OffhookError `OFFHOOK_SERVER_REFUSED`, `OFFHOOK_DEADLINE`, `OFFHOOK_CLOSED`
   */
  publishAudio(source: AudioSource, options: PublishAudioOptions = {}): Promise<LocalTrackPublication> {
    return this.publishTrack(new LocalAudioTrack(options.name ?? 'audio', source), options);
  }

  /**
   * Publishes a source of pictures; resolves when the server has taken the track. It is sent as soon as media is up.
   *
   * @throws OffhookError `OFFHOOK_NOT_SUPPORTED` when the package that encodes video is not installed; as publishAudio
   */
  publishVideo(source: VideoSource, options: PublishVideoOptions = {}): Promise<LocalTrackPublication> {
    return this.publishTrack(new LocalVideoTrack(options.name ?? 'video', source), options);
  }

  /** As publishAudio and publishVideo, for a track that was made before (to be muted before it is published, say). */
  publishTrack(track: LocalAudioTrack, options?: PublishAudioOptions): Promise<LocalTrackPublication>;
  publishTrack(track: LocalVideoTrack, options?: PublishVideoOptions): Promise<LocalTrackPublication>;
  publishTrack(track: LocalAudioTrack | LocalVideoTrack): Promise<LocalTrackPublication>;
  publishTrack(
    track: LocalAudioTrack | LocalVideoTrack,
    options: PublishAudioOptions | PublishVideoOptions = {},
  ): Promise<LocalTrackPublication> {
    return this.#host.publishTrack(track, options);
  }

  /**
   * The track remains usable, and may be published again.
   *
   * @throws OffhookError `OFFHOOK_INVALID_REQUEST` when no track with that sid is published
   */
  async unpublish(publicationSid: string): Promise<void> {
    this.#host.tracks.unpublish(publicationSid);
  }

  async setMetadata(metadata: string): Promise<void> {
    await this.#change({ metadata });
  }

  async setName(name: string): Promise<void> {
    await this.#change({ name });
  }

  /** Sets the attributes given; an empty value removes one. */
  async setAttributes(attributes: Record<string, string>): Promise<void> {
    await this.#change({ attributes });
  }

  async publishData(payload: Uint8Array, options: PublishDataOptions = {}): Promise<void> {
    const { reliable = true, topic, destinationIdentities } = options;
    const value = new UserPacket({
      payload: payload as Uint8Array<ArrayBuffer>,
      ...(topic === undefined ? {} : { topic }),
    });
    await this.sendPacket({ case: 'user', value }, reliable ? 'reliable' : 'lossy', {
      ...(destinationIdentities ? { destinationIdentities } : {}),
    });
  }

  async publishDtmf(
    code: number,
    digit: string,
    destinationIdentities: readonly string[] = [],
  ): Promise<void> {
    const value = new SipDTMF({ code, digit });
    await this.sendPacket({ case: 'sipDtmf', value }, 'reliable', { destinationIdentities });
  }

  async publishTranscription(transcription: {
    participantIdentity: string;
    trackSid: string;
    segments: readonly TranscriptionSegment[];
  }): Promise<void> {
    const { participantIdentity, trackSid, segments } = transcription;
    const value = new Transcription({
      transcribedParticipantIdentity: participantIdentity,
      trackId: trackSid,
      segments: [...segments],
    });
    await this.sendPacket({ case: 'transcription', value }, 'reliable');
  }

  async sendChat(text: string, routing: PacketRouting = {}): Promise<ChatMessage> {
    const value = new ChatMessage({ id: randomUUID(), timestamp: BigInt(Date.now()), message: text });
    await this.sendPacket({ case: 'chatMessage', value }, 'reliable', routing);
    return value;
  }

  async editChat(original: ChatMessage, text: string, routing: PacketRouting = {}): Promise<ChatMessage> {
    const value = original.clone();
    value.message = text;
    value.editTimestamp = BigInt(Date.now());
    await this.sendPacket({ case: 'chatMessage', value }, 'reliable', routing);
    return value;
  }

  sendText(text: string, options: TextStreamOptions = {}): Promise<TextStreamInfo> {
    return this.#host.data.streams.sendText(text, options);
  }

  sendBytes(bytes: Uint8Array, options: ByteStreamOptions = {}): Promise<ByteStreamInfo> {
    return this.#host.data.streams.sendBytes(bytes, options);
  }

  /**
   * Sends a file as it is read; its name and size are in the stream's header.
   *
   * @throws OffhookError `OFFHOOK_INVALID_REQUEST` when it cannot be read
   */
  sendFile(path: string, options: ByteStreamOptions = {}): Promise<ByteStreamInfo> {
    return this.#host.data.streams.sendFile(path, options);
  }

  streamText(options: TextStreamOptions = {}): Promise<TextStreamWriter> {
    return this.#host.data.streams.openText(options);
  }

  streamBytes(options: ByteStreamOptions = {}): Promise<ByteStreamWriter> {
    return this.#host.data.streams.openBytes(options);
  }

  /** Any packet of the protocol, for layers that build their own (stream headers and chunks, say). */
  sendPacket(content: PacketContent, kind: PacketKind, routing: PacketRouting = {}): Promise<void> {
    return this.#host.data.send(content, kind, routing);
  }

  /** @throws RpcError */
  performRpc(options: PerformRpcOptions): Promise<string> {
    return this.#host.data.rpcClient.perform(options);
  }

  /** One handler a method; a later one replaces it. */
  registerRpcMethod(method: string, handler: RpcHandler): void {
    this.#host.data.rpcServer.register(method, handler);
  }

  unregisterRpcMethod(method: string): void {
    this.#host.data.rpcServer.unregister(method);
  }

  /**
   * Publishes a track of data frames, which may be lost on the way; resolves when the server has taken it.
   *
   * @throws DataTrackError that says why not; OffhookError `OFFHOOK_DEADLINE`, `OFFHOOK_CLOSED`
   */
  publishDataTrack(options: PublishDataTrackOptions): Promise<LocalDataTrack> {
    return this.#host.dataTracks.local.publish(options);
  }

  /** Lets others read the definition of a schema. @throws OffhookError when the server refuses, or does not answer */
  defineSchema(id: DataTrackSchemaId, definition: string): Promise<void> {
    return this.#host.dataTracks.schemas.define(id, definition);
  }

  /** The definition of a schema that a participant has defined. @throws OffhookError as `defineSchema` */
  getSchema(id: DataTrackSchemaId, participantIdentity: string): Promise<string> {
    return this.#host.dataTracks.schemas.get(id, participantIdentity);
  }

  /** Who may subscribe to our tracks; kept through reconnects. */
  setTrackSubscriptionPermissions(
    allParticipantsAllowed: boolean,
    permissions: readonly ParticipantTrackPermission[] = [],
  ): void {
    this.#host.subscriptions.setPermission(
      new SubscriptionPermission({
        allParticipants: allParticipantsAllowed,
        trackPermissions: permissions.map(({ participantIdentity, allowAll = false, trackSids = [] }) => ({
          participantIdentity,
          allTracks: allowAll,
          trackSids: [...trackSids],
        })),
      }),
    );
  }

  /** Sends of that kind wait while more than this is buffered; default 2 MiB. */
  setBufferedAmountLowThreshold(kind: PacketKind, thresholdBytes: number): void {
    this.#host.data.setThreshold(kind, thresholdBytes);
  }

  bufferedAmountLowThreshold(kind: PacketKind): number {
    return this.#host.data.thresholdBytes(kind);
  }

  /** For the room only. */
  addPublication(publication: LocalTrackPublication): void {
    this.#publications.set(publication.sid, publication);
  }

  /** For the room only. */
  removePublication(sid: string): void {
    this.#publications.delete(sid);
  }

  /** Asks for what is given to be changed: metadata and name always go along with it. */
  async #change(changes: {
    metadata?: string;
    name?: string;
    attributes?: Record<string, string>;
  }): Promise<void> {
    const what = 'no answer to a change of our own participant';
    await this.#host.requests.ask({ what }, (requestId) => {
      const { metadata, name } = this;
      const value = new UpdateParticipantMetadata({ requestId, metadata, name, ...changes });
      return { case: 'updateMetadata', value };
    });
  }
}

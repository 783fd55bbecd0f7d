import type { ChatMessage, TranscriptionSegment } from '@livekit/protocol';
import type { AudioSource } from '../audio/index.js';
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
} from '../data/index.js';
import { OffhookError } from '../timeline/index.js';
import { LocalAudioTrack } from './local-audio-track.js';
import type { LocalTrackPublication } from './local-track-publication.js';
import type { ParticipantTrackPermission, PublishAudioOptions, PublishDataOptions } from './options.js';
import { Participant } from './participant.js';

function notYet(what: string): never {
  throw new OffhookError('OFFHOOK_NOT_SUPPORTED', `LocalParticipant.${what} is not there yet`);
}

/** The program itself in the room. */
export class LocalParticipant extends Participant {
  #publications = new Map<string, LocalTrackPublication>();

  /** By sid. */
  get publications(): ReadonlyMap<string, LocalTrackPublication> {
    return this.#publications;
  }

  /** Publishes a source; resolves when the server has taken the track and it is on its way. */
  publishAudio(source: AudioSource, options: PublishAudioOptions = {}): Promise<LocalTrackPublication> {
    return this.publishTrack(new LocalAudioTrack(options.name ?? 'audio', source), options);
  }

  /** As publishAudio, for a track that was made before (to be muted before it is published, say). */
  async publishTrack(
    _track: LocalAudioTrack,
    _options: PublishAudioOptions = {},
  ): Promise<LocalTrackPublication> {
    return notYet('publishTrack');
  }

  /** The track remains usable, and may be published again. */
  async unpublish(_publicationSid: string): Promise<void> {
    notYet('unpublish');
  }

  async setMetadata(_metadata: string): Promise<void> {
    notYet('setMetadata');
  }

  async setName(_name: string): Promise<void> {
    notYet('setName');
  }

  /** Sets the attributes given; an empty value removes one. */
  async setAttributes(_attributes: Record<string, string>): Promise<void> {
    notYet('setAttributes');
  }

  async publishData(_payload: Uint8Array, _options: PublishDataOptions = {}): Promise<void> {
    notYet('publishData');
  }

  async publishDtmf(
    _code: number,
    _digit: string,
    _destinationIdentities?: readonly string[],
  ): Promise<void> {
    notYet('publishDtmf');
  }

  async publishTranscription(_transcription: {
    participantIdentity: string;
    trackSid: string;
    segments: readonly TranscriptionSegment[];
  }): Promise<void> {
    notYet('publishTranscription');
  }

  async sendChat(_text: string, _routing: PacketRouting = {}): Promise<ChatMessage> {
    return notYet('sendChat');
  }

  async editChat(_original: ChatMessage, _text: string, _routing: PacketRouting = {}): Promise<ChatMessage> {
    return notYet('editChat');
  }

  async sendText(_text: string, _options: TextStreamOptions = {}): Promise<TextStreamInfo> {
    return notYet('sendText');
  }

  async sendBytes(_bytes: Uint8Array, _options: ByteStreamOptions = {}): Promise<ByteStreamInfo> {
    return notYet('sendBytes');
  }

  /** Sends a file as it is read; its name and size are in the stream's header. */
  async sendFile(_path: string, _options: ByteStreamOptions = {}): Promise<ByteStreamInfo> {
    return notYet('sendFile');
  }

  async streamText(_options: TextStreamOptions = {}): Promise<TextStreamWriter> {
    return notYet('streamText');
  }

  async streamBytes(_options: ByteStreamOptions = {}): Promise<ByteStreamWriter> {
    return notYet('streamBytes');
  }

  /** Any packet of the protocol, for layers that build their own (stream headers and chunks, say). */
  async sendPacket(_content: PacketContent, _kind: PacketKind, _routing: PacketRouting = {}): Promise<void> {
    notYet('sendPacket');
  }

  /** @throws RpcError */
  async performRpc(_options: PerformRpcOptions): Promise<string> {
    return notYet('performRpc');
  }

  /** One handler a method; a later one replaces it. */
  registerRpcMethod(_method: string, _handler: RpcHandler): void {
    notYet('registerRpcMethod');
  }

  unregisterRpcMethod(_method: string): void {
    notYet('unregisterRpcMethod');
  }

  /** Who may subscribe to our tracks; kept through reconnects. */
  setTrackSubscriptionPermissions(
    _allParticipantsAllowed: boolean,
    _permissions: readonly ParticipantTrackPermission[] = [],
  ): void {
    notYet('setTrackSubscriptionPermissions');
  }

  /** Bytes waiting to be sent below which `dataChannelLowThresholdChanged`-paced senders go on; default 2 MiB. */
  setBufferedAmountLowThreshold(_kind: PacketKind, _thresholdBytes: number): void {
    notYet('setBufferedAmountLowThreshold');
  }
}

import {
  ClientInfo_Capability,
  DataPacket,
  Encryption_Type,
  ParticipantInfo_State as ParticipantState,
} from '@livekit/protocol';
import {
  IncomingStreams,
  OutgoingStreams,
  type PacketChannel,
  type PacketContent,
  type PacketKind,
  PacketLane,
  type PacketRouting,
  type PacketSender,
  PlainStreams,
  type ReceiverAbilities,
  ReliableInbox,
  ReorderBuffer,
  RpcClient,
  RpcServer,
  type RpcStreams,
  rpcTopics,
  type StreamPacket,
} from '../../data/index.js';
import { describeError, type OffhookError } from '../../errors/index.js';
import { limits } from '../../limits.js';
import { createLogger, type Logger, type LogSubject } from '../../logging/index.js';
import type { DataEvent } from '../events.js';
import type { ParticipantInfo } from '../info.js';
import type { DataEncryption } from './data-encryption.js';
import { MissingParticipants } from './missing-participants.js';

const log = createLogger('room/data');
const kinds: readonly PacketKind[] = ['reliable', 'lossy'];

interface NumberedPacket {
  publisherSid: string;
  sequence: number;
  packet: DataPacket;
}

/** What senders need to know of those in the room. */
export interface DataReceivers {
  /** Undefined for one that is not there. */
  find(identity: string): DataReceiver | undefined;
  all(): Iterable<DataReceiver>;
}

export type DataReceiver = Pick<ParticipantInfo, 'identity' | 'state' | 'clientProtocol' | 'capabilities'>;

/** Client protocols (ClientInfo.client_protocol) from which a participant can do what. */
const fromClientProtocol = { rpcStreams: 1, inlineStreams: 2 } as const;

/** What we say of ourselves when we join. */
export const clientProtocol = fromClientProtocol.inlineStreams;
export const clientCapabilities = [
  ClientInfo_Capability.CAP_PACKET_TRAILER,
  ClientInfo_Capability.CAP_COMPRESSION_DEFLATE_RAW,
] as const;

export interface DataPlaneOptions {
  emit: (event: DataEvent) => void;
  subject: LogSubject;
  receivers: DataReceivers;
  encryption: DataEncryption | undefined;
  /** Bytes of an incoming stream beyond which its reader fails. */
  maxStreamBytes: number | undefined;
}

/** Everything that goes over a room's data channels, in both directions. It outlives the sessions that carry it. */
export class DataPlane implements PacketSender {
  readonly streams: OutgoingStreams;
  readonly rpcClient: RpcClient;
  readonly rpcServer: RpcServer;
  #lanes: Record<PacketKind, PacketLane> = {
    reliable: new PacketLane('reliable'),
    lossy: new PacketLane('lossy'),
  };
  #channels: Record<PacketKind, PacketChannel> | undefined;
  /** Kinds that wait until it is known which session will carry them. */
  #paused = new Set<PacketKind>();
  #lastReceived: number | undefined;
  /** Who could be reached in the session that was lost. */
  #reachedBefore = new Set<string>();
  #missing: MissingParticipants | undefined;
  #inbox = new ReliableInbox();
  #order = this.#newOrder();
  #plain: PlainStreams;
  #incoming: IncomingStreams;
  /** Streams that carry RPC, which no program sees. */
  #rpcStreams: IncomingStreams;
  #log: Logger;
  #emit: (event: DataEvent) => void;
  #encryption: DataEncryption | undefined;
  #receivers: DataReceivers;

  constructor({ emit, subject, receivers, encryption, maxStreamBytes }: DataPlaneOptions) {
    this.#log = log.about(subject);
    this.#encryption = encryption;
    this.#receivers = receivers;
    this.#emit = emit;
    const maxBytes = maxStreamBytes ?? limits.streamPayload.value;
    this.streams = new OutgoingStreams(this, (identities) => abilitiesOf(receivers, identities));
    this.#plain = new PlainStreams(
      maxBytes,
      (identity, packet) => this.#handleStream(identity, packet),
      subject,
    );
    this.#incoming = new IncomingStreams(subject, maxBytes);
    this.#rpcStreams = new IncomingStreams(subject, limits.rpcStream.value);
    const rpcStreams: RpcStreams = {
      reaches: (identity) => (receivers.find(identity)?.clientProtocol ?? 0) >= fromClientProtocol.rpcStreams,
      sendText: (text, options) => this.streams.sendText(text, options),
    };
    this.rpcClient = new RpcClient(this, subject, rpcStreams);
    this.rpcServer = new RpcServer(this, subject, rpcStreams);
  }

  get encryptsStreams(): boolean {
    return this.#encryption?.isSealing ?? false;
  }

  send(content: PacketContent, kind: PacketKind, routing: PacketRouting = {}): Promise<void> {
    const lane = this.#lanes[kind];
    if (!this.#encryption) return lane.send(content, routing);
    return this.#encryption.seal(content).then((sealed) => lane.send(sealed, routing));
  }

  setThreshold(kind: PacketKind, thresholdBytes: number): void {
    this.#lanes[kind].thresholdBytes = thresholdBytes;
    this.#emit({ type: 'dataChannelLowThresholdChanged', kind, thresholdBytes });
  }

  thresholdBytes(kind: PacketKind): number {
    return this.#lanes[kind].thresholdBytes;
  }

  open(channels: Record<PacketKind, PacketChannel>): void {
    this.#channels = channels;
    for (const kind of kinds) if (!this.#paused.has(kind)) this.#lanes[kind].open(channels[kind]);
  }

  /** The session may be over: what is sent from now on waits until it is known which session will carry it. */
  pause(): void {
    this.#missing?.close();
    for (const kind of kinds) {
      this.#paused.add(kind);
      this.#lanes[kind].suspend();
    }
  }

  /** The session is gone: packets wait for the next one, which counts anew. */
  suspend(): void {
    this.#channels = undefined;
    this.#lastReceived = undefined;
    for (const lane of Object.values(this.#lanes)) {
      lane.suspend();
      lane.renew();
    }
  }

  /** The server took the session up. `lastReceived` is the last reliable packet that it has; 0 when it does not say. */
  sessionResumed(lastReceived: number): void {
    this.#lastReceived = lastReceived || undefined;
  }

  /** A new session takes the place of the one that was lost, in which the receivers of now could be reached. */
  sessionReplaced(): void {
    for (const identity of this.#reachable()) this.#reachedBefore.add(identity);
  }

  /**
   * There is a session that works, the one of before or another. Reliable packets wait a little longer for those who could
   * be reached before, and cannot yet.
   */
  restored(): void {
    const missing = this.#reachedBefore;
    for (const identity of this.#reachable()) missing.delete(identity);
    this.#reachedBefore = new Set();
    this.#resume('lossy');
    this.#missing = new MissingParticipants(missing, () => this.#resume('reliable'));
  }

  /** For SyncState. */
  receiveStates(): { publisherSid: string; lastSeq: number }[] {
    return this.#inbox.states();
  }

  /** The server passes data on to this participant from now on. */
  participantActive(identity: string): void {
    this.#missing?.settle(identity);
  }

  participantLeft(identity: string): void {
    this.#missing?.settle(identity);
    this.#encryption?.participantLeft(identity);
    this.#plain.participantLeft(identity);
    this.#incoming.participantLeft(identity);
    this.#rpcStreams.participantLeft(identity);
    this.rpcClient.participantLeft(identity);
  }

  close(error: OffhookError): void {
    this.#emit = () => {};
    this.#missing?.close();
    for (const lane of Object.values(this.#lanes)) lane.close(error);
    this.#order.stop();
    this.#plain.close();
    this.#incoming.close();
    this.#rpcStreams.close();
    this.rpcClient.close();
  }

  /** The server opened its channel: for a while its packets may overtake each other. */
  channelOpened(): void {
    this.#order.stop();
    this.#order = this.#newOrder();
  }

  /** Takes a message of a data channel. One that is no packet is dropped. */
  handleMessage(bytes: Uint8Array, kind: PacketKind): void {
    let packet: DataPacket;
    try {
      packet = DataPacket.fromBinary(bytes);
    } catch (error) {
      this.#log.warn(`a message of ${bytes.length} bytes is not a DataPacket: ${describeError(error)}`);
      return;
    }
    const { participantSid: publisherSid, sequence } = packet;
    if (kind === 'reliable') this.#order.push({ publisherSid, sequence, packet });
    else this.#open(packet, kind);
  }

  /** Participants to whom the server passes data on. */
  #reachable(): string[] {
    return [...this.#receivers.all()]
      .filter(({ state }) => state === ParticipantState.ACTIVE)
      .map(({ identity }) => identity);
  }

  #resume(kind: PacketKind): void {
    this.#paused.delete(kind);
    if (!this.#channels) return;
    this.#lanes[kind].open(this.#channels[kind], kind === 'reliable' ? this.#lastReceived : undefined);
    if (kind === 'reliable') this.#lastReceived = undefined;
  }

  #newOrder(): ReorderBuffer<NumberedPacket> {
    return new ReorderBuffer({ deliver: (numbered) => this.#handleReliable(numbered) });
  }

  #handleReliable({ publisherSid, sequence, packet }: NumberedPacket): void {
    if (this.#inbox.accept(publisherSid, sequence)) this.#open(packet, 'reliable');
    else this.#log.debug(`packet ${sequence} from ${packet.participantIdentity} arrived twice`);
  }

  #open(packet: DataPacket, kind: PacketKind): void {
    const { value: content } = packet;
    // The sender's word counts for nothing: what came in the clear was not encrypted.
    if (content.case === 'streamHeader') content.value.encryptionType = Encryption_Type.NONE;
    if (this.#encryption) {
      // What was encrypted comes as another packet.
      this.#encryption.open(packet, (readable) => this.#handle(readable, kind, readable !== packet));
    } else this.#handle(packet, kind, false);
  }

  #handle(
    { value: content, participantIdentity }: DataPacket,
    kind: PacketKind,
    wasEncrypted: boolean,
  ): void {
    switch (content.case) {
      case 'user': {
        const { payload, topic, participantIdentity: older } = content.value;
        const value = { case: 'user' as const, payload, topic };
        const identity = participantIdentity || older;
        this.#emit({ type: 'dataPacketReceived', participantIdentity: identity, kind, value });
        break;
      }
      case 'sipDtmf': {
        const { code, digit } = content.value;
        const value = { case: 'sipDtmf' as const, code, digit };
        this.#emit({ type: 'dataPacketReceived', participantIdentity, kind, value });
        break;
      }
      case 'transcription': {
        const { transcribedParticipantIdentity, trackId: trackSid, segments } = content.value;
        const identity = transcribedParticipantIdentity || participantIdentity;
        this.#emit({ type: 'transcriptionReceived', participantIdentity: identity, trackSid, segments });
        break;
      }
      case 'chatMessage':
        this.#emit({ type: 'chatMessage', participantIdentity, message: content.value });
        break;
      case 'rpcRequest':
        void this.rpcServer.handleRequest(participantIdentity, content.value);
        break;
      case 'rpcAck':
        this.rpcClient.handleAck(content.value.requestId);
        break;
      case 'rpcResponse':
        this.rpcClient.handleResponse(content.value);
        break;
      case 'streamHeader':
      case 'streamChunk':
      case 'streamTrailer':
        if (this.#isForeign(participantIdentity, content, wasEncrypted))
          this.#plain.breakOff(
            participantIdentity,
            content.value.streamId,
            'not all of it is encrypted alike',
          );
        else this.#plain.handle(participantIdentity, content);
        break;
      default:
        this.#log.debug(`a packet is ignored: its content is ${content.case ?? 'missing'}`);
    }
  }

  /** Whether a packet belongs to a stream that began encrypted and is not, or the other way round: it is not its sender's. */
  #isForeign(
    identity: string,
    { case: kind, value: { streamId } }: StreamPacket,
    wasEncrypted: boolean,
  ): boolean {
    if (kind === 'streamHeader') return false;
    const isEncrypted =
      this.#incoming.isEncrypted(identity, streamId) ?? this.#rpcStreams.isEncrypted(identity, streamId);
    return isEncrypted !== undefined && isEncrypted !== wasEncrypted;
  }

  #handleStream(participantIdentity: string, packet: StreamPacket): void {
    if (this.#handleRpcStream(participantIdentity, packet)) return;
    switch (packet.case) {
      case 'streamHeader': {
        const { value: header } = packet;
        this.#emit({ type: 'streamHeaderReceived', participantIdentity, header });
        const opened = this.#incoming.header(participantIdentity, header);
        if (opened?.kind === 'text') {
          this.#emit({ type: 'textStreamOpened', participantIdentity, reader: opened.reader });
        } else if (opened) {
          this.#emit({ type: 'byteStreamOpened', participantIdentity, reader: opened.reader });
        }
        break;
      }
      case 'streamChunk':
        this.#emit({ type: 'streamChunkReceived', participantIdentity, chunk: packet.value });
        this.#incoming.chunk(participantIdentity, packet.value);
        break;
      case 'streamTrailer':
        this.#emit({ type: 'streamTrailerReceived', participantIdentity, trailer: packet.value });
        this.#incoming.trailer(participantIdentity, packet.value);
        break;
    }
  }

  /** True when the packet belongs to a stream of RPC. */
  #handleRpcStream(identity: string, packet: StreamPacket): boolean {
    if (packet.case === 'streamHeader') {
      const { topic } = packet.value;
      if (topic !== rpcTopics.request && topic !== rpcTopics.response) return false;
      const opened = this.#rpcStreams.header(identity, packet.value);
      if (opened?.kind !== 'text') return true;
      const { reader } = opened;
      void (topic === rpcTopics.request
        ? this.rpcServer.handleRequestStream(reader)
        : this.rpcClient.handleResponseStream(reader));
      return true;
    }
    if (!this.#rpcStreams.has(identity, packet.value.streamId)) return false;
    if (packet.case === 'streamChunk') this.#rpcStreams.chunk(identity, packet.value);
    else this.#rpcStreams.trailer(identity, packet.value);
    return true;
  }
}

/** What all of these receivers, or everybody in the room, can read. */
function abilitiesOf(receivers: DataReceivers, identities: readonly string[]): ReceiverAbilities {
  const all =
    identities.length > 0 ? identities.map((identity) => receivers.find(identity)) : receivers.all();
  const abilities = { inline: true, compression: true };
  for (const receiver of all) {
    if ((receiver?.clientProtocol ?? 0) < fromClientProtocol.inlineStreams)
      return { inline: false, compression: false };
    if (!receiver!.capabilities.includes(ClientInfo_Capability.CAP_COMPRESSION_DEFLATE_RAW))
      abilities.compression = false;
  }
  return abilities;
}

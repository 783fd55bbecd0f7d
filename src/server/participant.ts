import {
  type DataPacket_Kind,
  DisconnectReason,
  ParticipantInfo,
  type ParticipantInfo_Kind,
  ParticipantInfo_State,
  type ParticipantPermission,
  type SignalResponse,
  SubscriptionPermission,
} from '@livekit/protocol';
import type { Access } from './access-token.js';
import type { ClientOptions } from './client-options.js';
import { newSid } from './ids.js';
import { kindOf, permissionOf } from './permissions.js';
import type { Downlink } from './sfu/downlink.js';
import type { Publisher } from './sfu/publisher.js';
import type { SignalSocket } from './signal-socket.js';

/** One participant's session in a room: who it is, and the connections that it publishes and receives on. */
export class Participant {
  readonly sid = newSid('PA');
  readonly identity: string;
  readonly kind: ParticipantInfo_Kind;
  readonly access: Access;
  readonly client: ClientOptions;
  readonly publisher: Publisher;
  readonly subscriber: Downlink;
  readonly joinedAtMs = Date.now();
  name: string;
  metadata: string;
  attributes: Record<string, string>;
  permission: ParticipantPermission;
  state = ParticipantInfo_State.JOINING;
  disconnectReason = DisconnectReason.UNKNOWN_REASON;
  /** Who may subscribe to this participant's tracks. */
  subscriptionPermission = new SubscriptionPermission({ allParticipants: true });
  /** What the client asked for, track by track; others follow `autoSubscribe`. */
  readonly subscriptionWishes = new Map<string, boolean>();
  /** Sequence number of the last reliable data packet that came from here. */
  lastReliableSequence = 0;
  /** Its next attempt to resume is cut off, as it asked for (SimulateScenario). */
  dropsNextResume = false;
  /** Undefined while the signalling connection is lost and may be resumed. */
  socket: SignalSocket | undefined;
  #version = 0;

  constructor(access: Access, client: ClientOptions, connections: (self: Participant) => Connections) {
    this.access = access;
    this.client = client;
    this.identity = access.identity;
    this.kind = kindOf(access);
    this.name = access.name;
    this.metadata = access.metadata;
    this.attributes = { ...access.attributes, ...client.attributes };
    this.permission = permissionOf(access.grants);
    const { publisher, subscriber } = connections(this);
    this.publisher = publisher;
    this.subscriber = subscriber;
  }

  get isSubscriberPrimary(): boolean {
    return this.access.grants.canSubscribe && !this.client.singleConnection;
  }

  /** Counts a change that others are to be told of. */
  changed(): void {
    this.#version++;
  }

  info(): ParticipantInfo {
    const tracks = [...this.publisher.tracks.values()];
    return new ParticipantInfo({
      sid: this.sid,
      identity: this.identity,
      state: this.state,
      tracks: tracks.map(({ info }) => info.clone()),
      metadata: this.metadata,
      joinedAt: BigInt(Math.floor(this.joinedAtMs / 1000)),
      joinedAtMs: BigInt(this.joinedAtMs),
      name: this.name,
      version: this.#version,
      permission: this.permission,
      isPublisher: tracks.length > 0,
      kind: this.kind,
      attributes: this.attributes,
      disconnectReason: this.disconnectReason,
      clientProtocol: this.client.clientProtocol,
      capabilities: this.client.capabilities,
    });
  }

  /** Sends a data packet over the primary connection. */
  sendData(message: Uint8Array, kind: DataPacket_Kind): void {
    const { outbox } = this.isSubscriberPrimary ? this.subscriber : this.publisher;
    outbox.send(message, kind);
  }

  send(message: SignalResponse['message']): void {
    this.socket?.send(message);
  }

  close(): void {
    this.publisher.close();
    this.subscriber.close();
    this.socket?.close();
    this.socket = undefined;
  }
}

export interface Connections {
  publisher: Publisher;
  subscriber: Downlink;
}

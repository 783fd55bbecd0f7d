import {
  DisconnectReason,
  LeaveRequest,
  type LeaveRequest_Action,
  ParticipantInfo,
  type ParticipantInfo_Kind,
  ParticipantInfo_State,
  type ParticipantPermission,
  type SignalResponse,
  TrackSubscribed,
} from '@livekit/protocol';
import { createLogger, type LogSubject, subjectOfIdentity } from '../logging/index.js';
import type { Access } from './access-token.js';
import { Boundary } from './boundary.js';
import { BoundedLog } from './bounded-log.js';
import type { ClientOptions } from './client-options.js';
import { ParticipantDataTracks } from './data-tracks.js';
import { newSid } from './ids.js';
import { limits } from './limits.js';
import { isDependent, kindOf, permissionOf } from './permissions.js';
import { RequestBudget } from './request-budget.js';
import type { DataOutbox } from './sfu/data-outbox.js';
import type { Downlink } from './sfu/downlink.js';
import type { Publisher } from './sfu/publisher.js';
import { SignalMessage } from './signal-message.js';
import type { SignalSocket } from './signal-socket.js';
import type { Timer } from './timers.js';
import { TrackPermissions } from './track-permissions.js';
import { WorkMeter } from './work-meter.js';

const log = createLogger('server/signal');

const warningsPerMinute = 10;

/** One participant's session in a room: who it is, and the connections that it publishes and receives on. */
export class Participant {
  readonly sid = newSid('PA');
  readonly identity: string;
  /** For log lines: which room it is in, and who it is. */
  readonly subject: LogSubject;
  readonly kind: ParticipantInfo_Kind;
  readonly access: Access;
  readonly client: ClientOptions;
  readonly publisher: Publisher;
  readonly subscriber: Downlink;
  readonly joinedAtMs = Date.now();
  /** What it costs the server's thread: its signalling, and all of its packets. */
  readonly requestWork = WorkMeter.forRequests();
  readonly packetWork = WorkMeter.forPackets();
  /** Bytes that each of the others was sent of it. */
  announcedBytes = 0;
  /** What of them its requests may cause. */
  readonly announced = new RequestBudget(
    limits.announcedBytesPerSecond.value,
    limits.announcedBytesBurst.value,
    performance.now(),
  );
  /** For what it asks for and does not get. */
  readonly warnings: BoundedLog;
  /** What it does runs inside of this: an exception costs others nothing. */
  readonly boundary: Boundary;
  name: string;
  metadata: string;
  attributes: Record<string, string>;
  permission: ParticipantPermission;
  state = ParticipantInfo_State.JOINING;
  disconnectReason = DisconnectReason.UNKNOWN_REASON;
  /** Who may subscribe to this participant's tracks. */
  subscriptionPermission = new TrackPermissions({ allParticipants: true });
  /** What the client asked for, track by track; others follow `autoSubscribe`. */
  readonly subscriptionWishes = new Map<string, boolean>();
  readonly dataTracks = new ParticipantDataTracks();
  /** Sequence number of the last reliable data packet that came from here. */
  lastReliableSequence = 0;
  /** One of its connections has ended, which no resume brings back: it has to join anew. */
  hasLostTransport = false;
  /** Its next attempt to resume is cut off, as it asked for (SimulateScenario). */
  dropsNextResume = false;
  /** Ends its pretended speech (SimulateScenario). */
  pretence: Timer | undefined;
  /** Undefined while the signalling connection is lost and may be resumed. */
  socket: SignalSocket | undefined;
  /** Removes the participant when its lost signalling connection is not resumed in time. */
  resumeDeadline: Timer | undefined;
  /** The connections over which it publishes, and receives, have been up. */
  canSend = false;
  canReceive = false;
  /** When its client last resumed the session, on the clock of `performance.now`. */
  resumedMs: number | undefined;
  /** Its client has sent a request since it joined. */
  wasHeard = false;
  /** Candidates that its client sent for either connection. */
  candidates = 0;
  #version = 0;

  constructor(access: Access, client: ClientOptions, connections: (self: Participant) => Connections) {
    this.access = access;
    this.client = client;
    this.identity = access.identity;
    this.subject = { room: access.grants.room, ...subjectOfIdentity(this.identity) };
    this.warnings = new BoundedLog(log.about(this.subject), warningsPerMinute);
    this.kind = kindOf(access);
    this.name = access.name;
    this.metadata = client.metadata || access.metadata;
    this.attributes = { ...access.attributes };
    // What the token says can be replaced, not removed.
    for (const [key, value] of Object.entries(client.attributes)) {
      if (value !== '') this.attributes[key] = value;
    }
    this.boundary = new Boundary(`participant ${this.identity}`);
    this.permission = permissionOf(access.grants);
    const { publisher, subscriber } = connections(this);
    this.publisher = publisher;
    this.subscriber = subscriber;
  }

  get isSubscriberPrimary(): boolean {
    return this.access.grants.canSubscribe && !this.client.singleConnection;
  }

  /** Whether it has left or was removed: nothing that it still sends counts. */
  get hasLeft(): boolean {
    return this.state === ParticipantInfo_State.DISCONNECTED;
  }

  /** Whether it is there for others only: such participants keep no room open and are not counted. */
  get isDependent(): boolean {
    return isDependent(this.kind, this.permission);
  }

  get isPublisher(): boolean {
    return this.publisher.tracks.size > 0 || this.dataTracks.published.size > 0;
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
      isPublisher: this.isPublisher,
      dataTracks: this.dataTracks.infos(),
      kind: this.kind,
      attributes: this.attributes,
      disconnectReason: this.disconnectReason,
      clientProtocol: this.client.clientProtocol,
      capabilities: this.client.capabilities,
    });
  }

  /** Where data for it goes: the primary connection. */
  get outbox(): DataOutbox {
    return this.isSubscriberPrimary ? this.subscriber.outbox : this.publisher.outbox;
  }

  send(message: SignalResponse['message']): void {
    this.socket?.send(new SignalMessage(message));
  }

  /** Others get one of its tracks from now on. Clients take this once for each track; agents speak only after it. */
  tellSubscribed(trackSid: string): void {
    this.send({ case: 'trackSubscribed', value: new TrackSubscribed({ trackSid }) });
  }

  /** Sends a message that others get too. */
  deliver(message: SignalMessage): void {
    this.socket?.send(message);
  }

  /** Has the client resume its session or join anew; others see it leave when it does neither in time. */
  requestReconnect(action: LeaveRequest_Action, reason: DisconnectReason): void {
    this.send({ case: 'leave', value: new LeaveRequest({ reason, action, canReconnect: true }) });
    this.socket?.close();
  }

  close(): void {
    this.pretence?.cancel();
    this.resumeDeadline?.cancel();
    this.boundary.run('closing', () => this.publisher.close());
    this.boundary.run('closing', () => this.subscriber.close());
    this.socket?.close();
    this.socket = undefined;
  }
}

export interface Connections {
  publisher: Publisher;
  subscriber: Downlink;
}

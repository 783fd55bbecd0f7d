import {
  ConnectionQualityUpdate,
  type DataPacket,
  type DataPacket_Kind,
  DisconnectReason,
  LeaveRequest,
  LeaveRequest_Action,
  ParticipantInfo_State,
  type ParticipantPermission,
  ParticipantUpdate,
  type PublishDataTrackRequest,
  type RoomAgentDispatch,
  Room as RoomInfo,
  RoomUpdate,
  type SignalResponse,
  SpeakerInfo,
  SpeakersChanged,
  SubscribedQualityUpdate,
  TrackUnpublishedResponse,
} from '@livekit/protocol';
import { createLogger } from '../logging/index.js';
import type { Access } from './access-token.js';
import { CallPace } from './api/call-pace.js';
import { Boundary } from './boundary.js';
import { recipientsOf, stampPacket } from './data-relay.js';
import { DataTracks, type Refusal } from './data-tracks.js';
import { newSid } from './ids.js';
import type { Participant } from './participant.js';
import { isDependent, kindOf, mayPublishSource, permissionOf } from './permissions.js';
import { QualityObserver } from './quality-observer.js';
import { ServerCalls } from './server-calls.js';
import { ServerData } from './server-data.js';
import type { DataOutbox } from './sfu/data-outbox.js';
import type { DownTrack } from './sfu/down-track.js';
import { lostBeforeResumeMs } from './sfu/publisher.js';
import type { UpTrack } from './sfu/up-track.js';
import { SignalMessage } from './signal-message.js';
import { type Speaker, SpeakerObserver } from './speaker-observer.js';
import { wantsTrack } from './subscription.js';
import { startInterval, startTimeout, type Timer } from './timers.js';

const log = createLogger('server/room');

export interface RoomOptions {
  name: string;
  /** Seconds that it stays when nobody has ever joined. Agents and recorders are nobody here. */
  emptyTimeoutS: number;
  /** Seconds that it stays after the last has left, agents and recorders not counted. */
  departureTimeoutS: number;
  /** 0 is no limit. Agents and recorders are not counted. */
  maxParticipants: number;
  metadata: string;
}

/** What happens in a room, for those who watch it: agent dispatch above all. */
export interface RoomListener {
  onOpened(room: Room, agents: readonly RoomAgentDispatch[]): void;
  onParticipantJoined(room: Room, participant: Participant): void;
  onParticipantLeft(room: Room, participant: Participant): void;
  onTracksPublished(room: Room, participant: Participant): void;
  onClosed(room: Room): void;
}

const speakerIntervalMs = 400;
const reportIntervalMs = 1000;

/** One room: its participants, and what passes between them. */
export class Room {
  readonly sid = newSid('RM');
  readonly createdAtMs = Date.now();
  /** By identity. */
  readonly participants = new Map<string, Participant>();
  metadata: string;
  readonly options: RoomOptions;
  /** Calls of participants' methods by the server API. */
  readonly calls = new ServerCalls((packet, kind) => void this.sendData(packet, kind));
  /** Divides the thread between those who may call the server API for this room and others. */
  readonly callPace: CallPace;
  /** Bytes that each of its participants was sent of it. */
  announcedBytes = 0;
  /** Data that the server API sends. */
  readonly serverData: ServerData;
  /** What the room does for itself runs inside of this. */
  readonly boundary: Boundary;
  readonly #dataTracks = new DataTracks();
  #listener: RoomListener;
  #onGone: () => void;
  #speakers = new SpeakerObserver();
  #quality = new QualityObserver();
  #bySid = new Map<string, Participant>();
  /** Published tracks by sid. */
  #tracks = new Map<string, { publisher: Participant; track: UpTrack }>();
  /** Participants that the room is open for: all but agents and recorders. */
  #people = 0;
  #timers: Timer[] = [];
  #idle: Timer | undefined;
  #closed = false;

  /** @param onGone called when the room has closed, before the listener hears of it. */
  constructor(options: RoomOptions, listener: RoomListener, onGone: () => void) {
    this.options = options;
    this.#onGone = onGone;
    this.metadata = options.metadata;
    this.#listener = listener;
    this.boundary = new Boundary(`room ${options.name}`);
    this.callPace = new CallPace({
      name: this.boundary.name,
      announcedBytes: () => this.announcedBytes,
    });
    this.serverData = new ServerData({
      name: this.boundary.name,
      outboxesFor: (packet) =>
        recipientsOf(packet, this.participants.values(), undefined).map(({ outbox }) => outbox),
      send: (packet, kind) => void this.sendData(packet, kind),
    });
    this.#closeAfter(options.emptyTimeoutS);
  }

  get name(): string {
    return this.options.name;
  }

  info(): RoomInfo {
    // Hidden participants are counted, as livekit-server counts them; nobody is told who they are.
    let numParticipants = 0;
    let numPublishers = 0;
    for (const { isDependent, isPublisher } of this.participants.values()) {
      if (!isDependent) numParticipants++;
      if (isPublisher) numPublishers++;
    }
    return new RoomInfo({
      sid: this.sid,
      name: this.name,
      emptyTimeout: Math.ceil(this.options.emptyTimeoutS),
      departureTimeout: Math.ceil(this.options.departureTimeoutS),
      maxParticipants: this.options.maxParticipants,
      creationTime: BigInt(Math.floor(this.createdAtMs / 1000)),
      creationTimeMs: BigInt(this.createdAtMs),
      metadata: this.metadata,
      numParticipants,
      numPublishers,
    });
  }

  findBySid(sid: string): Participant | undefined {
    return this.#bySid.get(sid);
  }

  /** The published track of this sid and who publishes it. */
  findTrack(sid: string): { publisher: Participant; track: UpTrack } | undefined {
    return this.#tracks.get(sid);
  }

  /** Whether the limit of participants keeps the bearer of a token out. Those who return are never kept out. */
  isFullFor(access: Access): boolean {
    const { maxParticipants } = this.options;
    if (maxParticipants === 0 || this.#people < maxParticipants) return false;
    return (
      !this.participants.has(access.identity) && !isDependent(kindOf(access), permissionOf(access.grants))
    );
  }

  /** Adds a participant; one of the same identity that is still there has to go. */
  join(participant: Participant): void {
    const older = this.participants.get(participant.identity);
    if (older) this.remove(older, DisconnectReason.DUPLICATE_IDENTITY);
    this.participants.set(participant.identity, participant);
    this.#bySid.set(participant.sid, participant);
    participant.state = ParticipantInfo_State.JOINED;
    this.#countPeople();
    if (this.#timers.length === 0) {
      this.#timers = [
        startInterval(`speakers of room ${this.name}`, speakerIntervalMs, () =>
          this.announceSpeakers(this.#speakers.update()),
        ),
        startInterval(`reports of room ${this.name}`, reportIntervalMs, () => this.#report()),
      ];
    }
  }

  /** Tells others of a participant that has joined, and gives it their tracks. */
  announce(participant: Participant): void {
    this.broadcastUpdate(participant, { exceptSelf: true });
    for (const other of this.participants.values()) {
      for (const track of other.publisher.tracks.values()) this.subscribe(participant, other, track);
    }
    this.#broadcastRoom();
    this.boundary.run('dispatching agents', () => this.#listener.onParticipantJoined(this, participant));
  }

  /** Tells a participant that has resumed what it may have missed. */
  sync(participant: Participant): void {
    const others = [...this.participants.values()].filter((other) => !other.permission.hidden);
    participant.send({
      case: 'update',
      value: new ParticipantUpdate({ participants: others.map((other) => other.info()) }),
    });
    participant.send({ case: 'roomUpdate', value: new RoomUpdate({ room: this.info() }) });
    for (const track of participant.publisher.tracks.values()) {
      // Told twice, programs on the native engine see an event twice; never told, an agent is silent.
      const mayHaveMissed = track.wasFirstAcceptedAfter(performance.now() - lostBeforeResumeMs);
      if (participant.canSend && mayHaveMissed) participant.tellSubscribed(track.sid);
      track.announceDemand();
    }
    participant.subscriber.resumed();
    if (participant.dataTracks.handles.size > 0) this.#dataTracks.settle(participant, { announce: true });
  }

  /** The participant's primary connection is up. */
  activate(participant: Participant): void {
    if (participant.state !== ParticipantInfo_State.JOINED) return;
    participant.state = ParticipantInfo_State.ACTIVE;
    this.broadcastUpdate(participant);
  }

  /**
   * A participant has accepted a track. The publisher is told when what it sends from then on arrives: agents begin to
   * speak at that moment, and nobody would hear what they say while either connection is still being made.
   */
  accepted(participant: Participant, { publisherSid, upTrack }: DownTrack): void {
    if (!participant.canReceive || !upTrack.acceptedBySubscriber(performance.now())) return;
    const publisher = this.#bySid.get(publisherSid);
    if (publisher?.canSend) publisher.tellSubscribed(upTrack.sid);
  }

  /** The connection over which a participant publishes is up. */
  canSend(participant: Participant): void {
    if (participant.canSend) return;
    participant.canSend = true;
    for (const track of participant.publisher.tracks.values())
      if (track.wasAccepted) participant.tellSubscribed(track.sid);
  }

  /** The connection over which a participant receives is up. */
  canReceive(participant: Participant): void {
    if (participant.canReceive) return;
    participant.canReceive = true;
    for (const track of participant.subscriber.downTracks.values())
      if (track.isAccepted) this.accepted(participant, track);
  }

  remove(participant: Participant, reason: DisconnectReason): void {
    if (this.participants.get(participant.identity) !== participant) return;
    log.about(participant.subject).info(`left (${DisconnectReason[reason]})`);
    this.participants.delete(participant.identity);
    this.#bySid.delete(participant.sid);
    participant.state = ParticipantInfo_State.DISCONNECTED;
    participant.disconnectReason = reason;
    if (reason !== DisconnectReason.CLIENT_INITIATED) {
      const leave = { reason, action: LeaveRequest_Action.DISCONNECT };
      participant.send({ case: 'leave', value: new LeaveRequest(leave) });
    }
    for (const sid of participant.publisher.tracks.keys()) this.#dropTrack(sid);
    this.#dataTracks.forget(participant);
    this.broadcastUpdate(participant, { exceptSelf: true });
    participant.close();
    this.#speakers.forget(participant.sid);
    this.#quality.forget(participant.sid);
    this.calls.participantLeft(participant.identity);
    this.boundary.run('dispatching agents', () => this.#listener.onParticipantLeft(this, participant));
    this.#countPeople();
    if (this.participants.size > 0) this.#broadcastRoom();
    else this.#stopTimers();
  }

  /** Takes tracks that a participant has published at once. */
  publish(participant: Participant, tracks: readonly UpTrack[]): void {
    for (const track of tracks) {
      log.about(participant.subject).debug(`published ${track.sid} (${track.info.mimeType})`);
      this.#tracks.set(track.sid, { publisher: participant, track });
      track.onAudioLevel = (dbov) => {
        if (!track.info.muted && !participant.permission.hidden)
          this.#speakers.observe(participant.sid, dbov);
      };
      track.onDemand = (qualities) => {
        const codec = track.info.mimeType.replace('video/', '').toLowerCase();
        const value = new SubscribedQualityUpdate({
          trackSid: track.sid,
          subscribedQualities: [...qualities],
          subscribedCodecs: [{ codec, qualities: [...qualities] }],
        });
        participant.send({ case: 'subscribedQualityUpdate', value });
      };
    }
    this.broadcastUpdate(participant);
    this.#countOffers(participant);
    for (const other of this.participants.values()) {
      other.boundary.run('subscribing', () => {
        for (const track of tracks) this.subscribe(other, participant, track);
      });
    }
    this.boundary.run('dispatching agents', () => this.#listener.onTracksPublished(this, participant));
  }

  /** Ends tracks that a participant no longer publishes. */
  unpublish(participant: Participant, tracks: readonly UpTrack[]): void {
    for (const { sid } of tracks) {
      this.#dropTrack(sid);
      const value = new TrackUnpublishedResponse({ trackSid: sid });
      participant.send({ case: 'trackUnpublished', value });
    }
    this.broadcastUpdate(participant);
    this.#countOffers(participant);
  }

  /** Begins or ends a subscription, as the subscriber wishes and the publisher permits. */
  subscribe(subscriber: Participant, publisher: Participant, track: UpTrack): void {
    if (subscriber === publisher) return;
    const { sid } = track;
    if (wantsTrack(subscriber, publisher, sid)) subscriber.subscriber.addTrack(track, publisher.sid);
    else subscriber.subscriber.removeTrack(sid);
    track.updateDemand(performance.now());
  }

  /** Publishes a data track and tells others of it, or says why not. */
  publishDataTrack(publisher: Participant, request: PublishDataTrackRequest): Refusal | undefined {
    const refusal = this.#dataTracks.publish(publisher, request);
    if (!refusal) this.broadcastUpdate(publisher, { exceptSelf: true });
    return refusal;
  }

  /** Ends a data track. Returns false when there is none of that handle. */
  unpublishDataTrack(publisher: Participant, handle: number): boolean {
    const was = this.#dataTracks.unpublish(publisher, handle);
    if (was) this.broadcastUpdate(publisher, { exceptSelf: true });
    return was;
  }

  /** Subscribes a participant to data tracks, by sid, or ends that. */
  subscribeData(subscriber: Participant, updates: Iterable<{ trackSid: string; subscribe: boolean }>): void {
    for (const { trackSid, subscribe } of updates) this.#dataTracks.want(subscriber, trackSid, subscribe);
    this.#dataTracks.settle(subscriber);
  }

  relayTrackPacket(publisher: Participant, packet: Uint8Array): void {
    if (!publisher.hasLeft) this.#dataTracks.relay(publisher, packet);
  }

  /** A publisher lets others subscribe than before. */
  resubscribeData(publisher: Participant): void {
    this.#dataTracks.settleSubscribersOf(publisher, this.participants.values());
  }

  /** Settles every subscription between two participants anew. */
  resubscribe(subscriber: Participant, publisher: Participant): void {
    for (const track of publisher.publisher.tracks.values()) this.subscribe(subscriber, publisher, track);
  }

  /** Gives a participant another permission, and ends what it no longer allows. */
  setPermission(participant: Participant, permission: ParticipantPermission): void {
    participant.permission = permission;
    participant.publisher.retain(({ source }) => mayPublishSource(permission, source));
    this.#countPeople();
    for (const other of this.participants.values()) this.resubscribe(participant, other);
    if (!permission.canPublishData)
      for (const handle of [...participant.dataTracks.published.keys()])
        this.#dataTracks.unpublish(participant, handle);
    this.#dataTracks.settle(participant);
    if (permission.canSubscribe) participant.subscriber.start();
  }

  updateMetadata(metadata: string): void {
    this.metadata = metadata;
    this.#broadcastRoom();
  }

  /** Sends data of one participant to those it is for, and returns their outboxes. */
  relayData(sender: Participant, message: Uint8Array, kind: DataPacket_Kind): DataOutbox[] {
    if (sender.hasLeft || !sender.permission.canPublishData) return [];
    const packet = stampPacket(message, kind, sender);
    if (!packet || this.calls.handle(packet, sender.identity)) return [];
    return this.sendData(packet, kind, sender.sid);
  }

  /** Sends a data packet to those it is for, and returns their outboxes. Nobody gets back what they sent. */
  sendData(packet: DataPacket, kind: DataPacket_Kind, senderSid?: string): DataOutbox[] {
    const bytes = packet.toBinary();
    return recipientsOf(packet, this.participants.values(), senderSid).map(({ boundary, outbox }) => {
      boundary.run('sending data', () => outbox.send(bytes, kind));
      return outbox;
    });
  }

  /** Tells everybody who may see it what has become of a participant. */
  broadcastUpdate(participant: Participant, { exceptSelf = false } = {}): void {
    participant.changed();
    const value = new ParticipantUpdate({ participants: [participant.info()] });
    const update = new SignalMessage({ case: 'update', value });
    if (!exceptSelf) participant.deliver(update);
    if (participant.permission.hidden) return;
    for (const other of this.participants.values()) if (other !== participant) other.deliver(update);
    if (this.participants.size < 2) return;
    participant.announcedBytes += update.binary.length;
    this.announcedBytes += update.binary.length;
  }

  /** Each of the others is offered all tracks of a participant again when one of them comes or goes. */
  #countOffers(participant: Participant): void {
    if (this.participants.size < 2) return;
    for (const { offeredBytes } of participant.publisher.tracks.values())
      participant.announcedBytes += offeredBytes;
  }

  broadcast(message: SignalResponse['message']): void {
    const shared = new SignalMessage(message);
    for (const participant of this.participants.values()) participant.deliver(shared);
  }

  /** Tells everybody who has begun, goes on or stopped speaking. Nobody is told of hidden participants. */
  announceSpeakers(changed: readonly Speaker[]): void {
    const speakers = changed
      .filter(({ sid }) => !this.#bySid.get(sid)?.permission.hidden)
      .map((speaker) => new SpeakerInfo(speaker));
    if (speakers.length === 0) return;
    this.broadcast({ case: 'speakersChanged', value: new SpeakersChanged({ speakers }) });
  }

  close(reason: DisconnectReason): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const participant of [...this.participants.values()]) this.remove(participant, reason);
    this.#stopTimers();
    this.#idle?.cancel();
    this.serverData.close();
    this.#onGone();
    this.boundary.run('withdrawing agents', () => this.#listener.onClosed(this));
  }

  #dropTrack(sid: string): void {
    this.#tracks.delete(sid);
    for (const { boundary, subscriber } of this.participants.values()) {
      boundary.run('unsubscribing', () => subscriber.removeTrack(sid));
    }
  }

  /** Counts who the room is open for; without anybody it closes after a while. */
  #countPeople(): void {
    const before = this.#people;
    this.#people = 0;
    for (const { isDependent } of this.participants.values()) if (!isDependent) this.#people++;
    if (this.#people > 0) this.#idle?.cancel();
    else if (before > 0 && !this.#closed) this.#closeAfter(this.options.departureTimeoutS);
  }

  #broadcastRoom(): void {
    this.broadcast({ case: 'roomUpdate', value: new RoomUpdate({ room: this.info() }) });
    this.announcedBytes += Buffer.byteLength(this.metadata);
  }

  #report(): void {
    const nowMs = performance.now();
    for (const { boundary, publisher, subscriber } of this.participants.values()) {
      boundary.run('report', () => {
        publisher.report(nowMs);
        subscriber.update(nowMs);
        for (const track of publisher.tracks.values()) track.updateDemand(nowMs);
      });
    }
    for (const participant of [...this.participants.values()]) {
      if (!participant.outbox.isStalled(nowMs)) continue;
      log.about(participant.subject).warn('no longer reads the data that others send; it is removed');
      this.remove(participant, DisconnectReason.STATE_MISMATCH);
    }
    const changed = this.#quality.update(this.participants.values());
    const updates = changed.filter(
      ({ participantSid }) => !this.#bySid.get(participantSid)?.permission.hidden,
    );
    if (updates.length > 0) {
      this.broadcast({ case: 'connectionQuality', value: new ConnectionQualityUpdate({ updates }) });
    }
  }

  #closeAfter(seconds: number): void {
    this.#idle?.cancel();
    this.#idle = startTimeout(`room ${this.name}`, seconds * 1000, () =>
      this.close(DisconnectReason.ROOM_CLOSED),
    );
  }

  #stopTimers(): void {
    for (const timer of this.#timers.splice(0)) timer.cancel();
  }
}

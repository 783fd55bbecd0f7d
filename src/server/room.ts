import {
  type DataPacket_Kind,
  DisconnectReason,
  LeaveRequest,
  LeaveRequest_Action,
  ParticipantInfo_State,
  type ParticipantPermission,
  ParticipantUpdate,
  type RoomAgentDispatch,
  Room as RoomInfo,
  RoomUpdate,
  type SignalResponse,
  SpeakerInfo,
  SpeakersChanged,
  TrackUnpublishedResponse,
} from '@livekit/protocol';
import { createLogger } from '../timeline/index.js';
import { recipientsOf, stampPacket } from './data-relay.js';
import { newSid } from './ids.js';
import type { Participant } from './participant.js';
import { mayPublishSource } from './permissions.js';
import { QualityObserver } from './quality-observer.js';
import type { UpTrack } from './sfu/up-track.js';
import { SpeakerObserver } from './speaker-observer.js';
import { wantsTrack } from './subscription.js';

const log = createLogger('server/room');

export interface RoomOptions {
  name: string;
  /** Seconds that it stays when nobody has ever joined. */
  emptyTimeoutS: number;
  /** Seconds that it stays after the last has left. */
  departureTimeoutS: number;
  /** 0 is no limit. */
  maxParticipants: number;
  metadata: string;
}

/** What happens in a room, for those who watch it: agent dispatch above all. */
export interface RoomListener {
  onOpened(room: Room, agents: readonly RoomAgentDispatch[]): void;
  onParticipantJoined(room: Room, participant: Participant): void;
  onParticipantLeft(room: Room, participant: Participant): void;
  onTrackPublished(room: Room, participant: Participant, track: UpTrack): void;
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
  #listener: RoomListener;
  #onGone: () => void;
  #speakers = new SpeakerObserver();
  #quality = new QualityObserver();
  #timers: NodeJS.Timeout[] = [];
  #idle: NodeJS.Timeout | undefined;
  #closed = false;

  /** @param onGone called when the room has closed, before the listener hears of it. */
  constructor(options: RoomOptions, listener: RoomListener, onGone: () => void) {
    this.options = options;
    this.#onGone = onGone;
    this.metadata = options.metadata;
    this.#listener = listener;
    this.#closeAfter(options.emptyTimeoutS);
  }

  get name(): string {
    return this.options.name;
  }

  info(): RoomInfo {
    const present = [...this.participants.values()];
    return new RoomInfo({
      sid: this.sid,
      name: this.name,
      emptyTimeout: Math.ceil(this.options.emptyTimeoutS),
      departureTimeout: Math.ceil(this.options.departureTimeoutS),
      maxParticipants: this.options.maxParticipants,
      creationTime: BigInt(Math.floor(this.createdAtMs / 1000)),
      creationTimeMs: BigInt(this.createdAtMs),
      metadata: this.metadata,
      numParticipants: present.length,
      numPublishers: present.filter(({ publisher }) => publisher.tracks.size > 0).length,
    });
  }

  findBySid(sid: string): Participant | undefined {
    return [...this.participants.values()].find((participant) => participant.sid === sid);
  }

  /** The published track of this sid and who publishes it. */
  findTrack(sid: string): { publisher: Participant; track: UpTrack } | undefined {
    for (const publisher of this.participants.values()) {
      const track = publisher.publisher.tracks.get(sid);
      if (track) return { publisher, track };
    }
    return undefined;
  }

  /** Adds a participant; one of the same identity that is still there has to go. */
  join(participant: Participant): void {
    const older = this.participants.get(participant.identity);
    if (older) this.remove(older, DisconnectReason.DUPLICATE_IDENTITY);
    clearTimeout(this.#idle);
    this.participants.set(participant.identity, participant);
    participant.state = ParticipantInfo_State.JOINED;
    if (this.#timers.length === 0) {
      this.#timers = [
        setInterval(() => this.#updateSpeakers(), speakerIntervalMs),
        setInterval(() => this.#report(), reportIntervalMs),
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
    this.#listener.onParticipantJoined(this, participant);
  }

  /** Tells a participant that has resumed what it may have missed. */
  sync(participant: Participant): void {
    const others = [...this.participants.values()].filter((other) => !other.permission.hidden);
    participant.send({
      case: 'update',
      value: new ParticipantUpdate({ participants: others.map((other) => other.info()) }),
    });
    participant.send({ case: 'roomUpdate', value: new RoomUpdate({ room: this.info() }) });
    participant.subscriber.offerAgain();
  }

  /** The participant's primary connection is up. */
  activate(participant: Participant): void {
    if (participant.state !== ParticipantInfo_State.JOINED) return;
    participant.state = ParticipantInfo_State.ACTIVE;
    this.broadcastUpdate(participant);
  }

  remove(participant: Participant, reason: DisconnectReason): void {
    if (this.participants.get(participant.identity) !== participant) return;
    log.info(`${this.name}: ${participant.identity} left (${DisconnectReason[reason]})`);
    this.participants.delete(participant.identity);
    participant.state = ParticipantInfo_State.DISCONNECTED;
    participant.disconnectReason = reason;
    if (reason !== DisconnectReason.CLIENT_INITIATED) {
      const leave = { reason, action: LeaveRequest_Action.DISCONNECT };
      participant.send({ case: 'leave', value: new LeaveRequest(leave) });
    }
    for (const sid of participant.publisher.tracks.keys()) this.#unsubscribeAll(sid);
    this.broadcastUpdate(participant, { exceptSelf: true });
    participant.close();
    this.#speakers.forget(participant.sid);
    this.#quality.forget(participant.sid);
    this.#listener.onParticipantLeft(this, participant);
    if (this.participants.size > 0) this.#broadcastRoom();
    else this.#rest();
  }

  publish(participant: Participant, track: UpTrack): void {
    log.debug(`${this.name}: ${participant.identity} published ${track.sid} (${track.info.mimeType})`);
    track.onAudioLevel = (dbov) => {
      if (!track.info.muted) this.#speakers.observe(participant.sid, dbov);
    };
    this.broadcastUpdate(participant);
    for (const other of this.participants.values()) this.subscribe(other, participant, track);
    this.#listener.onTrackPublished(this, participant, track);
  }

  unpublish(participant: Participant, track: UpTrack): void {
    this.#unsubscribeAll(track.sid);
    participant.send({
      case: 'trackUnpublished',
      value: new TrackUnpublishedResponse({ trackSid: track.sid }),
    });
    this.broadcastUpdate(participant);
  }

  /** Begins or ends a subscription, as the subscriber wishes and the publisher permits. */
  subscribe(subscriber: Participant, publisher: Participant, track: UpTrack): void {
    if (subscriber === publisher) return;
    const { sid } = track;
    if (wantsTrack(subscriber, publisher, sid)) subscriber.subscriber.addTrack(track, publisher.sid);
    else subscriber.subscriber.removeTrack(sid);
  }

  /** Settles every subscription between two participants anew. */
  resubscribe(subscriber: Participant, publisher: Participant): void {
    for (const track of publisher.publisher.tracks.values()) this.subscribe(subscriber, publisher, track);
  }

  /** Gives a participant another permission, and ends what it no longer allows. */
  setPermission(participant: Participant, permission: ParticipantPermission): void {
    participant.permission = permission;
    for (const { sid, info } of participant.publisher.tracks.values()) {
      if (!mayPublishSource(permission, info.source)) participant.publisher.unpublish(sid);
    }
    for (const other of this.participants.values()) this.resubscribe(participant, other);
    if (permission.canSubscribe) participant.subscriber.start();
  }

  updateMetadata(metadata: string): void {
    this.metadata = metadata;
    this.#broadcastRoom();
  }

  relayData(sender: Participant, message: Uint8Array, kind: DataPacket_Kind): void {
    if (!sender.permission.canPublishData) return;
    const packet = stampPacket(message, kind, sender);
    if (!packet) return;
    const bytes = packet.toBinary();
    for (const recipient of recipientsOf(packet, this.participants.values(), sender.sid)) {
      recipient.sendData(bytes, kind);
    }
  }

  /** Tells everybody who may see it what has become of a participant. */
  broadcastUpdate(participant: Participant, { exceptSelf = false } = {}): void {
    participant.changed();
    const update = new ParticipantUpdate({ participants: [participant.info()] });
    if (!exceptSelf) participant.send({ case: 'update', value: update });
    if (participant.permission.hidden) return;
    for (const other of this.participants.values()) {
      if (other !== participant) other.send({ case: 'update', value: update });
    }
  }

  broadcast(message: SignalResponse['message']): void {
    for (const participant of this.participants.values()) participant.send(message);
  }

  close(reason: DisconnectReason): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const participant of [...this.participants.values()]) this.remove(participant, reason);
    this.#stopTimers();
    clearTimeout(this.#idle);
    this.#onGone();
    this.#listener.onClosed(this);
  }

  #unsubscribeAll(trackSid: string): void {
    for (const participant of this.participants.values()) participant.subscriber.removeTrack(trackSid);
  }

  #broadcastRoom(): void {
    this.broadcast({ case: 'roomUpdate', value: new RoomUpdate({ room: this.info() }) });
  }

  #updateSpeakers(): void {
    const speakers = this.#speakers.update().map((speaker) => new SpeakerInfo(speaker));
    if (speakers.length === 0) return;
    this.broadcast({ case: 'speakersChanged', value: new SpeakersChanged({ speakers }) });
  }

  #report(): void {
    const nowMs = performance.now();
    for (const { publisher } of this.participants.values()) publisher.report(nowMs);
    const update = this.#quality.update([...this.participants.values()]);
    if (update) this.broadcast({ case: 'connectionQuality', value: update });
  }

  #rest(): void {
    this.#stopTimers();
    if (!this.#closed) this.#closeAfter(this.options.departureTimeoutS);
  }

  #closeAfter(seconds: number): void {
    clearTimeout(this.#idle);
    this.#idle = setTimeout(() => this.close(DisconnectReason.ROOM_CLOSED), seconds * 1000);
  }

  #stopTimers(): void {
    for (const timer of this.#timers.splice(0)) clearInterval(timer);
  }
}

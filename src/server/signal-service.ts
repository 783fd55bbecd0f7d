import {
  ClientInfo_Capability,
  Codec,
  DisconnectReason,
  JoinResponse,
  LeaveRequest,
  LeaveRequest_Action,
  MediaSectionsRequirement,
  ParticipantInfo_Kind,
  ReconnectResponse,
  type ServerInfo,
  SessionDescription,
} from '@livekit/protocol';
import type { WebSocket } from 'ws';
import { createLogger } from '../logging/index.js';
import type { Access, ApiKeys } from './access-token.js';
import { isWithin, oversizedProperty } from './checked-values.js';
import type { ClientOptions } from './client-options.js';
import { HttpError } from './http-error.js';
import { type Connections, Participant } from './participant.js';
import { kindOf } from './permissions.js';
import type { Room } from './room.js';
import type { Rooms } from './rooms.js';
import type { DownTrack } from './sfu/down-track.js';
import { hostCandidates, type MediaEndpoint } from './sfu/ice-addresses.js';
import { Publisher } from './sfu/publisher.js';
import { SharedSubscriber } from './sfu/shared-subscriber.js';
import { Subscriber } from './sfu/subscriber.js';
import { SignalMessage } from './signal-message.js';
import { handleRequest } from './signal-requests.js';
import { pingIntervalS, pingTimeoutS, SignalSocket } from './signal-socket.js';
import { startTimeout } from './timers.js';
import { TokenRefresh } from './token-refresh.js';
import type { Turns } from './turns.js';
import { WorkMeter } from './work-meter.js';

const log = createLogger('server/signal');

interface SignalServiceOptions {
  rooms: Rooms;
  keys: ApiKeys;
  endpoint: MediaEndpoint;
  serverInfo: ServerInfo;
  /** Divides the thread among participants. */
  turns: Turns;
  /** How long a participant whose signalling connection was lost may come back. */
  resumeWindowMs: number;
}

const publishCodecs = ['audio/opus', 'audio/red', 'video/vp8', 'video/h264', 'video/vp9', 'video/av1'];
/** How long a client that leaves may take to say so once its connections have ended. */
const leaveGraceMs = 1_000;
/**
 * How long one that has sent nothing since it joined may take to resume: most such clients gave up before they were let in,
 * which a busy server learns after it has let them in.
 */
const unheardResumeMs = 2_000;

/** `/rtc`: brings clients into their rooms and keeps their sessions. */
export class SignalService {
  #options: SignalServiceOptions;

  constructor(options: SignalServiceOptions) {
    this.#options = options;
  }

  /**
   * Whether a client may join now, with this token and what it asks for itself.
   *
   * @throws HttpError that says why not.
   */
  check(access: Access, client: ClientOptions): void {
    const { identity, grants } = access;
    if (!grants.roomJoin) throw new HttpError(401, 'permissions denied: the token has no roomJoin grant');
    if (identity === '') throw new HttpError(400, 'identity cannot be empty');
    if (!isWithin('identityBytes', identity)) throw new HttpError(400, 'identity exceeds the length limit');
    if (grants.room === '') throw new HttpError(400, 'no room name: the token names no room');
    if (!isWithin('roomNameBytes', grants.room))
      throw new HttpError(400, 'room name exceeds the length limit');
    const asksForProperties = client.metadata !== '' || Object.keys(client.attributes).length > 0;
    if (asksForProperties && !grants.canUpdateOwnMetadata) {
      throw new HttpError(
        401,
        'permissions denied: metadata and attributes need the canUpdateOwnMetadata grant',
      );
    }
    // What is signed may be as long as a token: livekit-server takes that, too. What a client adds to it may not.
    const oversized = oversizedProperty({
      name: '',
      metadata: client.metadata,
      attributes: asksForProperties ? { ...access.attributes, ...client.attributes } : {},
    });
    if (oversized) throw new HttpError(400, oversized);
    const room = this.#options.rooms.byName.get(grants.room);
    if (room?.isFullFor(access)) throw new HttpError(403, 'the room is full');
  }

  /**
   * Serves one client, of which `check` has passed in the same turn, until its socket closes.
   *
   * @throws Error when the client cannot be served; it is then not in the room.
   */
  serve(socket: WebSocket, access: Access, client: ClientOptions): void {
    if (client.resumeSid === undefined) this.#join(socket, access, client);
    else this.#resume(socket, access, client.resumeSid);
  }

  #join(socket: WebSocket, access: Access, client: ClientOptions): void {
    const { rooms } = this.#options;
    const byAgent = kindOf(access) === ParticipantInfo_Kind.AGENT && access.grants.agent;
    const { room } = rooms.open(access.grants.room, access.roomConfig, { byAgent });
    const participant = new Participant(access, client, (self) => this.#connect(room, self));
    try {
      // What cannot be encoded is found before anybody else is told of it.
      participant.info().toBinary();
      this.#attach(socket, room, participant);
      room.join(participant);
      log.about(participant.subject).info(`joined (${client.sdk} ${client.version})`);
      const response = new SignalMessage({ case: 'join', value: this.#joinResponse(room, participant) });
      // Throws where a socket would only log: a client without this response has not joined.
      response.binary;
      participant.deliver(response);
    } catch (error) {
      participant.close();
      room.remove(participant, DisconnectReason.JOIN_FAILURE);
      throw error;
    }
    room.announce(participant);
    if (participant.isSubscriberPrimary) participant.subscriber.start();
    for (const value of client.addTracks) handleRequest(room, participant, { case: 'addTrack', value });
    if (client.offer) handleRequest(room, participant, { case: 'offer', value: client.offer });
  }

  #joinResponse(room: Room, participant: Participant): JoinResponse {
    const { serverInfo } = this.#options;
    const others = [...room.participants.values()].filter(
      (other) => other !== participant && !other.permission.hidden,
    );
    return new JoinResponse({
      room: room.info(),
      participant: participant.info(),
      otherParticipants: others.map((other) => other.info()),
      serverVersion: serverInfo.version,
      serverInfo,
      subscriberPrimary: participant.isSubscriberPrimary,
      pingInterval: pingIntervalS,
      pingTimeout: pingTimeoutS,
      enabledPublishCodecs: publishCodecs.map((mime) => new Codec({ mime })),
      fastPublish: participant.permission.canPublish,
    });
  }

  #resume(socket: WebSocket, access: Access, sid: string): void {
    const room = this.#options.rooms.byName.get(access.grants.room);
    const participant = room?.participants.get(access.identity);
    const isOther = sid !== '' && participant?.sid !== sid;
    if (!room || !participant || isOther || participant.hasLostTransport) {
      const refused = new SignalSocket(`participant ${access.identity}`, socket, {
        turns: this.#options.turns,
        work: WorkMeter.forRequests(),
        onRequest: () => {},
        onClose: () => {},
      });
      const leave = { reason: DisconnectReason.STATE_MISMATCH, action: LeaveRequest_Action.RECONNECT };
      const value = new LeaveRequest({ ...leave, canReconnect: true });
      refused.send(new SignalMessage({ case: 'leave', value }));
      refused.close();
      return;
    }
    if (participant.dropsNextResume) {
      participant.dropsNextResume = false;
      socket.terminate();
      return;
    }
    log.about(participant.subject).info('resumed');
    participant.resumedMs = performance.now();
    const lost = participant.socket;
    this.#attach(socket, room, participant);
    lost?.close();
    participant.send({
      case: 'reconnect',
      value: new ReconnectResponse({
        serverInfo: this.#options.serverInfo,
        lastMessageSeq: participant.lastReliableSequence,
      }),
    });
    room.sync(participant);
  }

  #attach(socket: WebSocket, room: Room, participant: Participant): void {
    const refresh = new TokenRefresh(participant, this.#options.keys);
    participant.resumeDeadline?.cancel();
    const signal = new SignalSocket(`participant ${participant.identity}`, socket, {
      turns: this.#options.turns,
      work: participant.requestWork,
      announced: participant.announced,
      onRequest: (request) => {
        participant.wasHeard = true;
        handleRequest(room, participant, request);
      },
      onClose: () => {
        refresh.stop();
        if (participant.socket === signal) this.#awaitResume(room, participant);
      },
    });
    participant.socket = signal;
  }

  /** Gives a participant whose socket is lost some time to come back. */
  #awaitResume(room: Room, participant: Participant): void {
    participant.socket = undefined;
    const { resumeWindowMs } = this.#options;
    const windowMs = participant.wasHeard ? resumeWindowMs : Math.min(resumeWindowMs, unheardResumeMs);
    log
      .about(participant.subject)
      .debug(`lost its signalling connection; it may resume within ${windowMs} ms`);
    const remove = () => room.remove(participant, DisconnectReason.SIGNAL_CLOSE);
    participant.resumeDeadline = startTimeout(participant.boundary.name, windowMs, remove, {
      keepsProcess: false,
    });
  }

  #connect(room: Room, participant: Participant): Connections {
    const { endpoint } = this.#options;
    const { address, iceLite } = participant.client;
    const candidates = hostCandidates(endpoint.udp, address);
    const joinAgain = () => {
      if (room.participants.get(participant.identity) !== participant) return;
      // With its signalling gone too there is nobody left to wait for.
      if (!participant.socket) room.remove(participant, DisconnectReason.SIGNAL_CLOSE);
      else participant.requestReconnect(LeaveRequest_Action.RECONNECT, DisconnectReason.CONNECTION_TIMEOUT);
    };
    const onFailed = () => {
      // A client that leaves ends its connections too, and that may be heard before its leave.
      if (participant.socket && !participant.hasLostTransport)
        startTimeout(participant.boundary.name, leaveGraceMs, joinAgain, { keepsProcess: false });
      else if (!participant.socket) joinAgain();
      participant.hasLostTransport = true;
    };
    const { boundary, packetWork: work } = participant;
    const requireSections = (numAudios: number, numVideos: number) =>
      participant.send({
        case: 'mediaSectionsRequirement',
        value: new MediaSectionsRequirement({ numAudios, numVideos }),
      });
    const publisher = new Publisher({
      name: `${participant.identity} publishes`,
      boundary,
      endpoint,
      iceLite,
      candidates,
      work,
      onPublished: (tracks) => room.publish(participant, tracks),
      onUnpublished: (tracks) => room.unpublish(participant, tracks),
      onData: (message, kind) => room.relayData(participant, message, kind),
      onTrackPacket: (packet) => room.relayTrackPacket(participant, packet),
      onDataOverflow: () => {
        log.about(participant.subject).warn('sends more data than the others read; it is removed');
        room.remove(participant, DisconnectReason.STATE_MISMATCH);
      },
      onConnected: () => {
        if (!participant.isSubscriberPrimary) room.activate(participant);
        room.canSend(participant);
        if (participant.client.singleConnection) room.canReceive(participant);
      },
      onFailed,
      // The native engine loses a negotiation that it wants while it makes the offer of an earlier one. A wish for no
      // more sections makes it offer again; clients with two connections know no such message.
      onTracksOverdue: () => {
        if (participant.client.singleConnection) requireSections(0, 0);
      },
    });
    const onTrackAccepted = (track: DownTrack) => room.accepted(participant, track);
    const takesTrailers = participant.client.capabilities.includes(ClientInfo_Capability.CAP_PACKET_TRAILER);
    const subscriber = participant.client.singleConnection
      ? new SharedSubscriber({
          boundary,
          outbox: publisher.outbox,
          send: (packet) => publisher.send(packet),
          takesTrailers,
          requireSections,
          onTrackAccepted,
        })
      : new Subscriber({
          name: `${participant.identity} receives`,
          boundary,
          endpoint,
          iceLite,
          candidates,
          work,
          takesTrailers,
          sendOffer: (sdp, id) =>
            participant.send({ case: 'offer', value: new SessionDescription({ type: 'offer', sdp, id }) }),
          onTrackAccepted,
          onConnected: () => {
            if (participant.isSubscriberPrimary) room.activate(participant);
            room.canReceive(participant);
          },
          onFailed,
        });
    if (subscriber instanceof SharedSubscriber) publisher.shared = subscriber;
    return { publisher, subscriber };
  }
}

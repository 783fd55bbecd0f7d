import {
  Encryption_Type,
  type JoinResponse,
  type ParticipantUpdate,
  type ReconnectResponse,
  type SignalRequest,
  type SignalResponse,
} from '@livekit/protocol';
import type { Deadlines } from '../deadlines/index.js';
import { OffhookError } from '../errors/index.js';
import type { LogSubject } from '../logging/index.js';
import type { Timeline } from '../timeline/index.js';
import { Connection } from './connection/connection.js';
import type { ConnectionEvent } from './connection/connection-events.js';
import { Requests } from './connection/requests.js';
import type { Session } from './connection/session.js';
import { syncState } from './connection/sync-state.js';
import { DataEncryption } from './data-encryption.js';
import { DataPlane } from './data-plane.js';
import { DataTracks, type DataTracksHost } from './data-tracks/data-tracks.js';
import { type EncryptionStateListener, RoomEncryption } from './encryption.js';
import type { DataEvent, DataTrackEvent, EncryptionEvent, StateEvent } from './events.js';
import { RemoteMedia } from './media/remote-media.js';
import type { ConnectOptions } from './options.js';
import { isReplaced } from './state/participants.js';
import { joinedState, reduce, type StateInput } from './state/reduce.js';
import type { RoomState } from './state/room-state.js';
import type { Step } from './state/step.js';
import { Subscriptions } from './subscriptions.js';
import { LocalTracks, type LocalTracksHost } from './tracks/local-tracks.js';

interface EngineOptions {
  urls: readonly string[];
  token: string;
  timeline: Timeline;
  deadlines: Deadlines;
  connect: ConnectOptions;
  random: () => number;
  /** The room was joined. */
  onJoined: (state: RoomState) => void;
  /** The state changed, with the events that tell of it. */
  onStep: (step: Step) => void;
  onData: (event: DataEvent | DataTrackEvent) => void;
  onEncryption: (event: EncryptionEvent) => void;
}

/** A room without its objects: the connection, and what goes on over it, all of it led through the state reducer. */
export class Engine implements LocalTracksHost, DataTracksHost {
  readonly connection: Connection;
  readonly requests: Requests;
  readonly data: DataPlane;
  readonly dataEncryption: DataEncryption | undefined;
  readonly dataTracks: DataTracks;
  readonly media: RemoteMedia;
  readonly tracks: LocalTracks;
  readonly subscriptions: Subscriptions;
  readonly random: () => number;
  readonly encryption: RoomEncryption | undefined;
  #options: EngineOptions;
  #state: RoomState | undefined;

  constructor(options: EngineOptions) {
    this.#options = options;
    this.random = options.random;
    const { encryption } = options.connect;
    const tell: EncryptionStateListener = (participantIdentity, trackSid, state) =>
      options.onEncryption({ type: 'e2eeStateChanged', participantIdentity, trackSid, state });
    this.encryption = encryption && new RoomEncryption(encryption, tell);
    const { subject } = options.timeline;
    this.dataEncryption =
      this.encryption && new DataEncryption(this.encryption, () => this.identity(), tell, subject);
    this.data = new DataPlane({
      emit: options.onData,
      subject,
      receivers: {
        find: (identity) => this.#state?.remotes.get(identity)?.info,
        all: () => [...(this.#state?.remotes.values() ?? [])].map(({ info }) => info),
      },
      encryption: this.dataEncryption,
      maxStreamBytes: options.connect.maxStreamBytes,
    });
    this.media = new RemoteMedia((input) => this.dispatch(input), subject);
    this.connection = new Connection({ ...options, emit: (event) => this.#onConnectionEvent(event) });
    this.requests = new Requests(this.connection, options.deadlines.publish);
    this.subscriptions = new Subscriptions({
      connection: this.connection,
      autoSubscribe: options.connect.autoSubscribe ?? true,
      state: () => this.#state,
    });
    this.tracks = new LocalTracks(this);
    this.dataTracks = new DataTracks(this);
  }

  get state(): RoomState | undefined {
    return this.#state;
  }

  dispatch(input: StateInput): void {
    if (!this.#state) return;
    const step = reduce(this.#state, input);
    this.#state = step.state;
    for (const event of step.events) this.#follow(event);
    this.#options.onStep(step);
  }

  session(): Session | undefined {
    return this.connection.session;
  }

  whenConnected(signal: AbortSignal): Promise<Session> {
    return this.connection.whenConnected(signal);
  }

  identity(): string {
    return this.#state?.local.identity ?? '';
  }

  get subject(): LogSubject {
    return this.#options.timeline.subject;
  }

  send(message: SignalRequest['message']): void {
    this.connection.send(message);
  }

  emit(event: DataTrackEvent): void {
    this.#options.onData(event);
  }

  #onConnectionEvent(event: ConnectionEvent): void {
    switch (event.type) {
      case 'packet':
        this.data.handleMessage(event.bytes, event.kind);
        break;
      case 'dataTrackPacket':
        this.dataTracks.remote.handlePacket(event.bytes);
        break;
      case 'message':
        this.#onMessage(event.message);
        break;
      case 'tracks':
        this.media.update(event.tracks);
        break;
      case 'channelsOpened':
        this.data.open(event.channels);
        break;
      case 'reliableChannelReceived':
        this.data.channelOpened();
        break;
      case 'dataTrackChannelOpened':
        this.dataTracks.open(event.channel);
        break;
      case 'joined':
        this.#onJoined(event.join);
        break;
      case 'interrupted':
        this.data.pause();
        this.dispatch({ type: event.state });
        break;
      case 'sessionLost':
        this.#onSessionLost();
        break;
      case 'sessionResumed':
        this.#onSessionResumed(event.session, event.response);
        break;
      case 'sessionReplaced':
        this.#onSessionReplaced(event.session);
        event.waitUntil(this.tracks.republish(event.session, event.signal));
        break;
      case 'restored':
        this.#onRestored(event.how);
        break;
      case 'disconnected':
        this.dispatch(event);
        this.close(event.message);
        break;
    }
  }

  #onJoined(join: JoinResponse): void {
    this.#state = joinedState(join);
    if (this.encryption) this.encryption.serverTrailer = join.sifTrailer;
    this.#options.onJoined(this.#state);
    this.dataTracks.joined(join);
  }

  #onMessage(message: SignalResponse['message']): void {
    if (this.dataTracks.handle(message)) return;
    switch (message.case) {
      case 'trackPublished':
        this.requests.handleTrackPublished(message.value);
        break;
      case 'subscribedQualityUpdate':
        if (this.#options.connect.dynacast) this.tracks.setWatched(message.value);
        break;
      case 'requestResponse':
        this.requests.handleResponse(message.value);
        break;
      case 'update':
        if (this.#isReplaced(message.value)) this.connection.replaced();
        else {
          this.dispatch({ type: 'message', message });
          this.dataTracks.update(
            message.value.participants,
            ({ identity, sid }) => this.#state?.remotes.get(identity)?.info.sid === sid,
          );
        }
        break;
      default:
        this.dispatch({ type: 'message', message });
    }
  }

  #onSessionLost(): void {
    this.data.suspend();
    this.media.suspend();
    this.tracks.suspend();
    this.dataTracks.local.suspend();
    if (this.connection.state === 'reconnecting') this.dispatch({ type: 'reconnecting' });
  }

  #onSessionResumed(session: Session, response: ReconnectResponse): void {
    const { tracks, data, subscriptions } = this;
    const value = syncState({ session, tracks, data, dataTracks: this.dataTracks.local, subscriptions });
    session.send({ case: 'syncState', value });
    for (const track of this.requests.unansweredTracks()) session.send({ case: 'addTrack', value: track });
    this.subscriptions.resumed();
    this.data.sessionResumed(response.lastMessageSeq);
    this.dataTracks.resumed();
  }

  #onSessionReplaced(session: Session): void {
    if (this.encryption) this.encryption.serverTrailer = session.join.sifTrailer;
    this.data.sessionReplaced();
    this.dispatch({ type: 'rejoined', response: session.join });
    this.dataTracks.rejoined(session.join);
    this.subscriptions.rejoined();
  }

  #onRestored(how: 'resumed' | 'reconnected'): void {
    this.data.restored();
    this.dispatch({ type: how });
    if (how === 'reconnected') this.media.awaitReturn();
  }

  /** Ends everything that goes on over the connection. */
  close(message: string): void {
    const error = new OffhookError('OFFHOOK_CLOSED', `the room is closed: ${message}`);
    this.requests.close(error);
    this.data.close(error);
    this.dataTracks.close(error);
    this.tracks.close();
    this.media.close();
    this.encryption?.close();
  }

  /** The server resumes whoever has the identity now, and its leave to us may have been lost with the connection. */
  #isReplaced({ participants }: ParticipantUpdate): boolean {
    const local = this.connection.state === 'resuming' ? this.#state?.local : undefined;
    return local !== undefined && isReplaced(local, participants);
  }

  /** What an event means for those who carry it out. */
  #follow(event: StateEvent): void {
    switch (event.type) {
      case 'participantDisconnected':
        this.data.participantLeft(event.participantIdentity);
        this.dataTracks.remote.participantLeft(event.participantIdentity);
        this.encryption?.participantLeft(event.participantIdentity);
        break;
      case 'participantActive':
        this.data.participantActive(event.participantIdentity);
        break;
      case 'trackSubscribed':
        this.#decrypt(event.participantIdentity, event.trackSid);
        break;
      case 'trackUnsubscribed':
        this.encryption?.forgetTrack(event.participantIdentity, event.trackSid);
        break;
      case 'trackUnpublished':
        this.subscriptions.forget(event.publicationSid);
        break;
      case 'trackMuted':
      case 'trackUnmuted':
        this.tracks.setMuted(event.trackSid, event.type === 'trackMuted');
        break;
      case 'tokenRefreshed':
        this.connection.token = event.token;
        break;
      default:
    }
  }

  /** Sets a track up to be decrypted, if its publisher says that it is encrypted. */
  #decrypt(identity: string, trackSid: string): void {
    const track = this.#state?.remotes.get(identity)?.tracks.get(trackSid);
    if (!this.encryption || !track || track.info.encryption === Encryption_Type.NONE) return;
    this.media.get(trackSid)?.decryptWith(this.encryption, identity);
  }
}

import {
  DisconnectReason,
  Encryption_Type,
  type JoinResponse,
  type ParticipantInfo as ParticipantMessage,
  type ReconnectResponse,
  type SignalResponse,
} from '@livekit/protocol';
import type { FrameFilter } from '../audio/index.js';
import { type Deadlines, resolveDeadlines } from '../deadlines/index.js';
import { describeError, OffhookError } from '../errors/index.js';
import { FilterRegistry } from '../filters/index.js';
import { createLogger, type Logger, subjectOfIdentity } from '../logging/index.js';
import { subjectOfToken } from '../signal/index.js';
import {
  describeDuration,
  logTimeline,
  summarizeTimeline,
  Timeline,
  traceTimeline,
} from '../timeline/index.js';
import { Connection } from './connection/connection.js';
import type { ConnectionEvent } from './connection/connection-events.js';
import type { ConnectionState } from './connection/connection-table.js';
import { Requests } from './connection/requests.js';
import type { Session } from './connection/session.js';
import { syncState } from './connection/sync-state.js';
import { DataEncryption } from './data/data-encryption.js';
import { DataPlane } from './data/data-plane.js';
import { DataTracks } from './data/data-tracks.js';
import { type EncryptionStateListener, RoomEncryption } from './encryption.js';
import type { RoomEvent, StateEvent } from './events.js';
import { FilterStreams } from './filter-streams.js';
import type { RoomInfo } from './info.js';
import { RemoteMedia } from './media/remote-media.js';
import type { SentTrack } from './media/sent-track.js';
import { RoomObjects } from './objects.js';
import type { ConnectOptions, RoomOptions, StreamFilter } from './options.js';
import type { LocalParticipant } from './participants/local-participant.js';
import type { RemoteParticipant } from './participants/remote-participant.js';
import type { RoomContext } from './room-context.js';
import { type SimulatedScenario, simulate } from './simulate.js';
import { isReplaced } from './state/participants.js';
import { joinedState, reduce, type StateInput } from './state/reduce.js';
import type { RoomState } from './state/room-state.js';
import type { Step } from './state/step.js';
import { type RoomStats, roomStats } from './stats.js';
import { Subscriptions } from './subscriptions.js';
import type { LocalTrackPublication } from './tracks/local-track-publication.js';
import { LocalTracks } from './tracks/local-tracks.js';
import type { RemoteTrack } from './tracks/remote-track.js';

const log = createLogger('room');

let shared: FilterRegistry | undefined;

/** Filters for rooms whose program gave none: those of this package. */
function defaultFilters(): FilterRegistry {
  shared ??= new FilterRegistry();
  return shared;
}

/** What works over one connection of a room. The next connect makes new ones. */
interface Parts extends RoomContext {
  readonly data: DataPlane;
  readonly dataTracks: DataTracks;
  readonly media: RemoteMedia;
  readonly tracks: LocalTracks;
  readonly subscriptions: Subscriptions;
}

/** One participant's connection to a LiveKit room. */
export class Room {
  /** Every step of connecting and reconnecting, with its times, addresses and outcome. */
  readonly timeline: Timeline;
  /** Takes every event, in order. What it throws is logged and does not stop the room. */
  onEvent: (event: RoomEvent) => void = () => {};
  #options: RoomOptions;
  #log: Logger;
  #parts: Parts | undefined;
  /** From joining on, as `#objects`. */
  #state: RoomState | undefined;
  #objects: RoomObjects | undefined;
  #filters: FilterStreams | undefined;
  #stopTracing: () => void = () => {};
  /** Steps whose events are not delivered yet; those of the first are being delivered. */
  #steps: Step[] = [];

  constructor(options: RoomOptions = {}) {
    this.#options = options;
    this.timeline = new Timeline(options.name ?? 'room');
    this.#log = log.about(this.timeline.subject);
    logTimeline(this.timeline, log);
  }

  get connectionState(): ConnectionState {
    return this.#parts?.connection.state ?? 'disconnected';
  }

  /** One peer connection carries both directions; false before there is a session. */
  get isSingle(): boolean {
    return this.#parts?.connection.session?.isSingle ?? false;
  }

  /** @throws OffhookError `OFFHOOK_CLOSED` before the room was joined. */
  get info(): RoomInfo {
    return this.#joined(this.#state).room;
  }

  /** Undefined in a room that was joined without encryption. */
  get encryption(): RoomEncryption | undefined {
    return this.#parts?.encryption;
  }

  /** @throws OffhookError `OFFHOOK_CLOSED` before the room was joined. */
  get localParticipant(): LocalParticipant {
    return this.#joined(this.#objects).localParticipant;
  }

  /** By identity. */
  get remoteParticipants(): ReadonlyMap<string, RemoteParticipant> {
    return this.#joined(this.#objects).remoteParticipants;
  }

  /**
   * Joins the room. Participants that are there already are in `remoteParticipants`, without events; tracks are
   * subscribed to, and events begin, afterwards; with `waitFor: 'media'`, while media comes up.
   *
   * @param url ws(s):// or http(s)://; several are tried in order of preference
   * @throws OffhookError that names the stage, the host and the elapsed time
   */
  async connect(url: string | readonly string[], token: string, options: ConnectOptions = {}): Promise<void> {
    if (this.connectionState !== 'disconnected') {
      throw new OffhookError('OFFHOOK_INVALID_REQUEST', 'connect: the room is connected already');
    }
    const urls = typeof url === 'string' ? [url] : url;
    // Nothing of an earlier connect remains.
    const unknown = { room: undefined, identity: undefined, job: undefined };
    const shownUrl = withoutQuery(urls[0] ?? '');
    Object.assign(this.timeline.subject, { ...unknown, url: shownUrl, ...subjectOfToken(token) });
    const deadlines = resolveDeadlines(options.deadlines);
    const parts = this.#openParts(urls, token, options, deadlines);
    const { connection } = parts;
    this.#parts = parts;
    this.#state = undefined;
    this.#objects = undefined;
    this.#stopTracing();
    this.#stopTracing = traceTimeline(this.timeline);
    this.#filters?.close();
    this.#filters = undefined;
    const startedMs = this.timeline.elapsedMs();
    const onAbort = () => void this.disconnect();
    options.signal?.addEventListener('abort', onAbort, { once: true });
    let filters: FilterStreams | undefined;
    try {
      const connected = connection.connect();
      filters = new FilterStreams({
        filters: this.#options.filters ?? defaultFilters(),
        url: urls[0] ?? '',
        token,
        timeline: this.timeline,
        loadDeadlineMs: deadlines.filterLoad,
        joined: connected,
        describe: (participantIdentity) => this.#describeForFilters(participantIdentity),
      });
      this.#filters = filters;
      if (options.signal?.aborted) onAbort();
      await connected;
      const elapsed = describeDuration(this.timeline.elapsedMs() - startedMs);
      const steps = this.timeline.spans.filter(({ startMs }) => startMs >= startedMs);
      this.#log.info(
        `${this.timeline.name}: joined ${connection.url} after ${elapsed}: ${summarizeTimeline(steps)}`,
      );
    } catch (error) {
      closeParts(parts, describeError(error));
      filters?.close();
      throw error;
    } finally {
      options.signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Leaves the room, at any moment of connecting or reconnecting too; nothing of it is left behind. */
  async disconnect(reason: DisconnectReason = DisconnectReason.CLIENT_INITIATED): Promise<void> {
    this.#parts?.connection.disconnect(reason);
  }

  /** Brings about a failure, to see how a program gets over it. */
  simulate(scenario: SimulatedScenario): void {
    simulate(this.#joined(this.#parts).connection, scenario);
  }

  stats(): RoomStats {
    return roomStats(this.#joined(this.#parts));
  }

  #joined<Part>(part: Part | undefined): Part {
    if (part === undefined) throw new OffhookError('OFFHOOK_CLOSED', 'the room has not been joined');
    return part;
  }

  #openParts(urls: readonly string[], token: string, options: ConnectOptions, deadlines: Deadlines): Parts {
    const { timeline } = this;
    const { subject } = timeline;
    const { random = Math.random } = this.#options;
    const state = () => this.#state;
    const emit = (event: RoomEvent) => this.#emit(event);
    const onEncryption: EncryptionStateListener = (participantIdentity, trackSid, now) =>
      emit({ type: 'e2eeStateChanged', participantIdentity, trackSid, state: now });
    const connection = new Connection({
      urls,
      token,
      timeline,
      deadlines,
      connect: options,
      random,
      emit: (event) => this.#onConnectionEvent(parts, event),
    });
    const encryption = options.encryption && new RoomEncryption(options.encryption, onEncryption);
    const ownIdentity = () => this.#state?.local.identity ?? '';
    const dataEncryption = encryption && new DataEncryption(encryption, ownIdentity, onEncryption, subject);
    const context: RoomContext = {
      options,
      connection,
      requests: new Requests(connection, deadlines.publish),
      encryption,
      dataEncryption,
      subject,
      random,
      state,
      dispatch: (input) => this.#dispatch(parts, input),
      emit,
    };
    const data = new DataPlane({
      emit,
      subject,
      receivers: {
        find: (identity) => this.#state?.remotes.get(identity)?.info,
        all: () => [...(this.#state?.remotes.values() ?? [])].map(({ info }) => info),
      },
      encryption: dataEncryption,
      maxStreamBytes: options.maxStreamBytes,
    });
    const parts: Parts = {
      ...context,
      data,
      dataTracks: new DataTracks(context),
      media: new RemoteMedia(context),
      tracks: new LocalTracks(context),
      subscriptions: new Subscriptions(context),
    };
    return parts;
  }

  #onConnectionEvent(parts: Parts, event: ConnectionEvent): void {
    const { data, dataTracks, media, tracks } = parts;
    switch (event.type) {
      case 'packet':
        data.handleMessage(event.bytes, event.kind);
        break;
      case 'dataTrackPacket':
        dataTracks.remote.handlePacket(event.bytes);
        break;
      case 'message':
        this.#onMessage(parts, event.message);
        break;
      case 'tracks':
        media.update(event.tracks);
        break;
      case 'channelsOpened':
        data.open(event.channels);
        break;
      case 'reliableChannelReceived':
        data.channelOpened();
        break;
      case 'dataTrackChannelOpened':
        dataTracks.open(event.channel);
        break;
      case 'joined':
        this.#onJoined(parts, event.join);
        break;
      case 'interrupted':
        data.pause();
        this.#dispatch(parts, { type: event.state });
        break;
      case 'sessionLost':
        data.suspend();
        media.suspend();
        tracks.suspend();
        dataTracks.local.suspend();
        if (parts.connection.state === 'reconnecting') this.#dispatch(parts, { type: 'reconnecting' });
        break;
      case 'sessionResumed':
        this.#onSessionResumed(parts, event.session, event.response);
        break;
      case 'sessionReplaced':
        this.#onSessionReplaced(parts, event.session);
        event.waitUntil(tracks.republish(event.session, event.signal));
        break;
      case 'restored':
        data.restored();
        this.#dispatch(parts, { type: event.how });
        if (event.how === 'reconnected') media.awaitReturn();
        break;
      case 'disconnected':
        this.#dispatch(parts, event);
        closeParts(parts, event.message);
        break;
    }
  }

  #onJoined(parts: Parts, join: JoinResponse): void {
    const state = joinedState(join);
    const { room, local } = state;
    const { connection, encryption, media, subscriptions, tracks } = parts;
    if (encryption) encryption.serverTrailer = join.sifTrailer;
    Object.assign(this.timeline.subject, { room: room.name, ...subjectOfIdentity(local.identity) });
    this.#state = state;
    this.#objects = new RoomObjects({
      state,
      autoSubscribe: subscriptions.autoSubscribe,
      media,
      subject: this.timeline.subject,
      tracks: {
        setSubscribed: (sid, subscribed) => subscriptions.setSubscribed(sid, subscribed),
        updateTrackSettings: (value) => connection.send({ case: 'trackSetting', value }),
        createFilter: (track, filter, format) => this.#createFilter(track, filter, format),
      },
      local: {
        ...parts,
        publishTrack: async (track, options) =>
          this.#addLocalPublication(parts, await tracks.publish(track, options)),
      },
    });
    parts.dataTracks.joined(join);
  }

  #onSessionResumed(parts: Parts, session: Session, { lastMessageSeq }: ReconnectResponse): void {
    session.send({ case: 'syncState', value: syncState(session, parts) });
    for (const value of parts.requests.unansweredTracks()) session.send({ case: 'addTrack', value });
    parts.subscriptions.resumed();
    parts.data.sessionResumed(lastMessageSeq);
    parts.dataTracks.resumed();
  }

  #onSessionReplaced(parts: Parts, { join }: Session): void {
    if (parts.encryption) parts.encryption.serverTrailer = join.sifTrailer;
    parts.data.sessionReplaced();
    this.#dispatch(parts, { type: 'rejoined', response: join });
    parts.dataTracks.rejoined(join);
    parts.subscriptions.rejoined();
  }

  #onMessage(parts: Parts, message: SignalResponse['message']): void {
    const { connection, dataTracks, options, requests, tracks } = parts;
    if (dataTracks.handle(message)) return;
    switch (message.case) {
      case 'trackPublished':
        requests.handleTrackPublished(message.value);
        break;
      case 'subscribedQualityUpdate':
        if (options.dynacast) tracks.setWatched(message.value);
        break;
      case 'requestResponse':
        requests.handleResponse(message.value);
        break;
      case 'update': {
        const { participants } = message.value;
        const local = this.#state?.local;
        // The server resumes the session that has our identity now; its leave to us may have been lost with the connection.
        if (connection.state === 'resuming' && local && isReplaced(local, participants)) {
          connection.replaced();
          break;
        }
        this.#dispatch(parts, { type: 'message', message });
        const isCurrent = ({ identity, sid }: ParticipantMessage) =>
          this.#state?.remotes.get(identity)?.info.sid === sid;
        dataTracks.update(participants, isCurrent);
        break;
      }
      default:
        this.#dispatch(parts, { type: 'message', message });
    }
  }

  #dispatch(parts: Parts, input: StateInput): void {
    // What an earlier connect left behind changes nothing.
    if (!this.#state || parts !== this.#parts) return;
    const step = reduce(this.#state, input);
    this.#state = step.state;
    for (const event of step.events) this.#carryOut(parts, event);
    this.#onStep(step);
  }

  /** What an event means for the parts of the room. */
  #carryOut(parts: Parts, event: StateEvent): void {
    const { connection, data, dataTracks, encryption, subscriptions, tracks } = parts;
    switch (event.type) {
      case 'participantDisconnected':
        data.participantLeft(event.participantIdentity);
        dataTracks.remote.participantLeft(event.participantIdentity);
        encryption?.participantLeft(event.participantIdentity);
        break;
      case 'participantActive':
        data.participantActive(event.participantIdentity);
        break;
      case 'trackSubscribed':
        this.#decrypt(parts, event.participantIdentity, event.trackSid);
        break;
      case 'trackUnsubscribed':
        encryption?.forgetTrack(event.participantIdentity, event.trackSid);
        break;
      case 'trackUnpublished':
        subscriptions.forget(event.publicationSid);
        break;
      case 'trackMuted':
      case 'trackUnmuted':
        tracks.setMuted(event.trackSid, event.type === 'trackMuted');
        break;
      case 'tokenRefreshed':
        connection.token = event.token;
        break;
      default:
    }
  }

  /** Sets a track up to be decrypted, if its publisher says that it is encrypted. */
  #decrypt({ encryption, media }: Parts, identity: string, trackSid: string): void {
    const track = this.#state?.remotes.get(identity)?.tracks.get(trackSid);
    if (!encryption || !track || track.info.encryption === Encryption_Type.NONE) return;
    media.get(trackSid)?.decryptWith(encryption, identity);
  }

  #addLocalPublication(parts: Parts, sent: SentTrack): LocalTrackPublication {
    const { sid } = sent.info;
    const track = this.#joined(this.#state?.localTracks.get(sid));
    const publication = this.#joined(this.#objects).addLocalPublication(track.info, sent);
    // The caller of publish gets the publication before the event does.
    setImmediate(() => this.#dispatch(parts, { type: 'localTrackAnnounced', sid: publication.sid }));
    return publication;
  }

  /** Delivers the events of one step after another: what a program does about an event may bring about the next step. */
  #onStep(step: Step): void {
    this.#steps.push(step);
    if (this.#steps.length > 1) return;
    for (let next: Step | undefined = step; next; next = this.#steps[0]) {
      this.#deliver(next);
      this.#steps.shift();
    }
  }

  #deliver({ state, events }: Step): void {
    const objects = this.#objects;
    if (!objects) return;
    // What a program does about an event may be to connect again: the filters of that room are others.
    const filters = this.#filters;
    objects.update(state);
    for (const event of events) {
      const resolved = objects.resolve(event);
      if (!resolved) continue;
      if (event.type === 'tokenRefreshed') filters?.updateToken(event.token);
      this.#emit(resolved);
      objects.after(resolved);
      if (event.type === 'reconnected') objects.repeatSettings();
      if (event.type === 'disconnected') {
        filters?.close();
        this.#emit({ type: 'eos' });
      }
    }
    this.#filters?.update();
  }

  #emit(event: RoomEvent): void {
    try {
      this.onEvent(event);
    } catch (error) {
      this.#log.error(`onEvent failed on ${event.type}: ${describeError(error)}`);
    }
  }

  #createFilter(
    track: RemoteTrack,
    filter: StreamFilter,
    format: { sampleRate: number; numChannels: number },
  ): FrameFilter {
    if ('process' in filter) return filter;
    const { participantIdentity } = track.publication;
    return this.#joined(this.#filters).create(filter, { ...format, trackId: track.sid, participantIdentity });
  }

  #describeForFilters(participantIdentity: string) {
    const { sid: roomId, name: roomName } = this.info;
    const participantId = this.remoteParticipants.get(participantIdentity)?.sid ?? '';
    return { roomId, roomName, participantId };
  }
}

/** Ends everything that works over a connection. */
function closeParts(parts: Parts, message: string): void {
  const error = new OffhookError('OFFHOOK_CLOSED', `the room is closed: ${message}`);
  parts.requests.close(error);
  parts.data.close(error);
  parts.dataTracks.close(error);
  parts.tracks.close();
  parts.media.close();
  parts.encryption?.close();
}

/** A URL as it may be shown: its query may hold a token. */
function withoutQuery(url: string): string {
  return url.replace(/[?#].*$/s, '').replace(/\/\/[^/]*@/, '//');
}

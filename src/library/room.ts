import { type Deadlines, defaultDeadlinesMs, untilAborted } from '../deadlines/index.js';
import {
  checkFlag,
  checkFunction,
  checkInstance,
  checkInteger,
  checkList,
  checkName,
  checkNumberFrom,
  checkOneOf,
  checkOptions,
  checkSignal,
  checkText,
  checkTexts,
  OffhookError,
} from '../errors/index.js';
import {
  type EventOf,
  type InitOf,
  type LibraryConnect,
  type LibraryNews,
  protocol,
  type TracedStep,
} from '../ffi/index.js';
import type { LogSubject } from '../logging/index.js';
import type { SpanRecord, TimelineRecord } from '../timeline/index.js';
import { ByteStreamReader, byteInfo, TextStreamReader, textInfo } from './data-streams.js';
import { RemoteDataTrack } from './data-tracks.js';
import { Emitter, type EventHandler, type NamedEvent, runHandler } from './emitter.js';
import { type EncryptionOptions, encryptionState, ffiEncryption, RoomEncryption } from './encryption.js';
import { LibraryEngine } from './engine.js';
import { type RoomEvents, roomEventNames } from './events.js';
import { LocalParticipant } from './local-participant.js';
import {
  type Participant,
  participantInfo,
  participantPermission,
  RemoteParticipant,
} from './participant.js';
import {
  publicationInfo,
  RemoteAudioTrack,
  RemoteTrackPublication,
  RemoteVideoTrack,
  type TrackPublication,
} from './tracks.js';
import { connectionQuality, type DisconnectReason, disconnectReason } from './values.js';

/** The state of a room's connection. `resuming` keeps the session, `reconnecting` begins a new one. */
export type ConnectionState = 'disconnected' | 'connecting' | 'connected' | 'resuming' | 'reconnecting';

/** A STUN or TURN server, as browsers describe it. */
export interface IceServer {
  urls: readonly string[];
  username?: string;
  credential?: string;
}

export interface RoomOptions {
  /** Name of the room's timeline, for logs and reports; default `room`. */
  name?: string;
}

/** How `Room.connect` connects. All are optional. */
export interface ConnectOptions {
  /** Subscribe to every track; default true. Otherwise `RemoteTrackPublication.setSubscribed` chooses. */
  autoSubscribe?: boolean;
  /** `join` (default): `connect` resolves when the server has admitted us, and media connects in parallel. `media`: when media is up. */
  waitFor?: 'join' | 'media';
  /** In milliseconds; the others keep their defaults (and their environment variables). */
  deadlines?: Partial<Deadlines>;
  /** Aborting it cancels a connect that is under way, which rejects with the signal's reason. */
  signal?: AbortSignal;
  /** Used instead of the servers that the room server names. */
  iceServers?: readonly IceServer[];
  /** `relay`: only through TURN servers. Default `all`. */
  iceTransportPolicy?: 'all' | 'relay';
  /** Attempts to come back before the room gives up; default 20. */
  maxReconnectAttempts?: number;
  /** Encrypts media and data end to end, and decrypts those of others. */
  encryption?: EncryptionOptions;
}

/** The room as the server describes it. A snapshot: it does not change. */
export interface RoomInfo {
  /** Empty until the server has given it. */
  sid: string;
  name: string;
  metadata: string;
  emptyTimeoutSeconds: number;
  departureTimeoutSeconds: number;
  maxParticipants: number;
  /** Milliseconds since 1970. */
  createdAtMs: number;
  numParticipants: number;
  numPublishers: number;
  activeRecording: boolean;
}

/** Failures that `Room.simulate` can cause, as LiveKit's SimulateScenario names them. */
export type SimulatedScenario =
  | 'signalReconnect'
  | 'speaker'
  | 'nodeFailure'
  | 'serverLeave'
  | 'migration'
  | 'fullReconnect'
  | 'disconnectSignalOnResume';

const scenarios: Record<SimulatedScenario, number> = {
  signalReconnect: protocol.SimulateScenarioKind.SIMULATE_SIGNAL_RECONNECT,
  speaker: protocol.SimulateScenarioKind.SIMULATE_SPEAKER,
  nodeFailure: protocol.SimulateScenarioKind.SIMULATE_NODE_FAILURE,
  serverLeave: protocol.SimulateScenarioKind.SIMULATE_SERVER_LEAVE,
  migration: protocol.SimulateScenarioKind.SIMULATE_MIGRATION,
  fullReconnect: protocol.SimulateScenarioKind.SIMULATE_FULL_RECONNECT,
  disconnectSignalOnResume: protocol.SimulateScenarioKind.SIMULATE_DISCONNECT_SIGNAL_ON_RESUME,
};

/** Takes a text stream that begins. */
export type TextStreamHandler = (reader: TextStreamReader, from: { participantIdentity: string }) => unknown;
/** Takes a stream of bytes that begins. */
export type ByteStreamHandler = (reader: ByteStreamReader, from: { participantIdentity: string }) => unknown;

/** Why a room is over. */
export interface RoomClosed {
  reason: DisconnectReason;
}

type FfiRoomEvent = EventOf<'roomEvent'>['message'];
type EventValue<Name extends NonNullable<FfiRoomEvent['case']>> = Extract<
  FfiRoomEvent,
  { case: Name }
>['value'];
type EventHandlers = { [Name in NonNullable<FfiRoomEvent['case']>]?: (value: EventValue<Name>) => void };

const connectOptions = [
  'autoSubscribe',
  'waitFor',
  'deadlines',
  'signal',
  'iceServers',
  'iceTransportPolicy',
  'maxReconnectAttempts',
  'encryption',
];

/**
 * One participant's connection to a LiveKit room. The engine runs in a thread of its own: audio, reconnecting and
 * everything else go on while the program's thread is busy.
 *
 * @example
 * await using room = new Room();
 * room.on('trackSubscribed', ({ track, participant }) => console.log(participant.identity, track.kind));
 * await room.connect('wss://example.livekit.cloud', token);
 */
export class Room {
  readonly #name: string;
  readonly #engine = LibraryEngine.shared;
  /** For log lines: which room this is, and who is in it. */
  readonly #subject: LogSubject = {};
  readonly #emitter = new Emitter<RoomEvents>(roomEventNames, this.#subject);
  readonly #textHandlers = new Map<string, TextStreamHandler>();
  readonly #byteHandlers = new Map<string, ByteStreamHandler>();
  #state: ConnectionState = 'disconnected';
  #handle: bigint | undefined;
  #info: RoomInfo | undefined;
  #localParticipant: LocalParticipant | undefined;
  #remoteParticipants = new Map<string, RemoteParticipant>();
  #autoSubscribe = true;
  #startedAtMs = Date.now();
  #spans: SpanRecord[] = [];
  #forgottenSpans = 0;
  #url: string | undefined;
  #connect: bigint | undefined;
  #connecting: { cancelled: AbortController; settled: Promise<unknown> } | undefined;
  #encryption: RoomEncryption | undefined;
  #closed = closing();

  /** @throws OffhookError `OFFHOOK_INVALID_REQUEST` for an unknown option */
  constructor(options: RoomOptions = {}) {
    checkOptions('the options of a Room', options, ['name']);
    const { name = 'room' } = options;
    this.#name = checkText('name', name);
  }

  /** `disconnected` before connect, and once the room is over. */
  get connectionState(): ConnectionState {
    return this.#state;
  }

  /** @throws OffhookError `OFFHOOK_CLOSED` before the room was joined. */
  get info(): RoomInfo {
    return this.#joined(this.#info);
  }

  /** Of the room on the server. @throws OffhookError `OFFHOOK_CLOSED` before the room was joined. */
  get name(): string {
    return this.info.name;
  }

  /** Of the room. @throws OffhookError `OFFHOOK_CLOSED` before the room was joined. */
  get metadata(): string {
    return this.info.metadata;
  }

  /** @throws OffhookError `OFFHOOK_CLOSED` before the room was joined. */
  get localParticipant(): LocalParticipant {
    return this.#joined(this.#localParticipant);
  }

  /** Keys and what is encrypted. @throws OffhookError `OFFHOOK_CLOSED` in a room that is not joined with `encryption`. */
  get encryption(): RoomEncryption {
    if (this.#encryption) return this.#encryption;
    throw new OffhookError('OFFHOOK_CLOSED', 'the room was not joined with encryption', {
      advice: 'Give connect the option `encryption`, and await it.',
    });
  }

  /** By identity. Empty before the room was joined. */
  get remoteParticipants(): ReadonlyMap<string, RemoteParticipant> {
    return this.#remoteParticipants;
  }

  /** Resolves when the room that was joined is over: left, lost, or ended by the server. */
  get closed(): Promise<RoomClosed> {
    return this.#closed.promise;
  }

  /** Every finished step since the latest `connect`, with its times, addresses and outcome: connecting and reconnecting. */
  get timeline(): TimelineRecord {
    return {
      name: this.#name,
      ...(this.#url && { url: this.#url }),
      ...this.#subject,
      startedAt: new Date(this.#startedAtMs).toISOString(),
      spans: [...this.#spans],
      forgotten: this.#forgottenSpans,
    };
  }

  /** Calls `handler` with each such event. When it throws or rejects, that is logged, and the other handlers still run. */
  on<Name extends keyof RoomEvents>(name: Name, handler: EventHandler<RoomEvents[Name]>): this {
    this.#emitter.on(name, handler);
    return this;
  }

  /** As `on`, for the next such event only. */
  once<Name extends keyof RoomEvents>(name: Name, handler: EventHandler<RoomEvents[Name]>): this {
    this.#emitter.on(name, handler, true);
    return this;
  }

  /** Removes a handler of `on` or `once`. */
  off<Name extends keyof RoomEvents>(name: Name, handler: EventHandler<RoomEvents[Name]>): this {
    this.#emitter.off(name, handler);
    return this;
  }

  /**
   * Every event from now on, until the room is over, the loop is left, or `options.signal` is aborted: the loop throws its
   * reason then.
   *
   * @example
   * for await (const event of room.events()) if (event.type === 'dataReceived') console.log(event.payload);
   */
  events(options: { signal?: AbortSignal } = {}): AsyncGenerator<NamedEvent<RoomEvents>, void, void> {
    checkOptions('events', options, ['signal']);
    checkSignal(options.signal);
    return this.#emitter.iterate(options.signal);
  }

  /**
   * Joins the room. Participants that are there already are in `remoteParticipants`, without events; tracks are
   * subscribed to, and events begin, afterwards.
   *
   * @param url ws(s):// or http(s)://
   * @throws OffhookError that names the stage, the host and the elapsed time
   * @throws the reason of `options.signal` when that was aborted
   */
  async connect(url: string, token: string, options: ConnectOptions = {}): Promise<void> {
    checkName('the URL of the room server (LIVEKIT_URL is a usual place for it)', url);
    checkName('the access token', token);
    const library = this.#libraryOptions(options);
    const { autoSubscribe = true, signal } = options;
    // Null or an empty text must not mean a room without encryption.
    const encryption = options.encryption === undefined ? undefined : ffiEncryption(options.encryption);
    checkFlag('autoSubscribe', autoSubscribe);
    if (signal !== undefined) checkInstance('signal', signal, AbortSignal);
    if (this.#state !== 'disconnected') {
      throw new OffhookError('OFFHOOK_INVALID_REQUEST', `connect: the room is already ${this.#state}`, {
        advice: 'Disconnect first, or make another Room.',
      });
    }
    signal?.throwIfAborted();
    this.#begin(url, autoSubscribe);
    const startedMs = performance.now();
    const connect = this.#engine.newConnect((news) => this.#onNews(news));
    this.#connect = connect;
    const request = {
      url,
      token,
      // Layers of video that nobody watches are not encoded.
      options: { autoSubscribe, dynacast: true, ...(encryption && { encryption }) },
      requestAsyncId: connect,
    };
    const connected = this.#engine.callback('connect', this.#engine.request('connect', request, library));
    const cancelled = new AbortController();
    this.#connecting = { cancelled, settled: connected.catch(() => {}) };
    try {
      const { message } = await untilAborted(untilAborted(connected, signal), cancelled.signal);
      cancelled.signal.throwIfAborted();
      if (message.case === 'result') this.#onJoined(message.value, encryption !== undefined);
    } catch (error) {
      this.#over();
      this.#abandon(connect, connected);
      throw withElapsed(error, performance.now() - startedMs);
    } finally {
      this.#connecting = undefined;
    }
  }

  /**
   * Leaves the room; resolves when it has been left. A `connect` that is under way is cancelled, and rejects with
   * `OFFHOOK_ABORTED`. Does nothing in a room that is over or was never joined.
   */
  async disconnect(): Promise<void> {
    if (this.#connecting) {
      const { cancelled, settled } = this.#connecting;
      cancelled.abort(new OffhookError('OFFHOOK_ABORTED', 'connecting was cancelled by disconnect'));
      await settled;
    }
    const handle = this.#handle;
    if (handle === undefined) return;
    await this.#engine.call('disconnect', { roomHandle: handle });
  }

  /** `await using` calls it: as `disconnect`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.disconnect();
  }

  /**
   * Hands text streams with that topic to `handler`; a topic has one handler. Streams of other topics are not read.
   *
   * @example
   * room.registerTextStreamHandler('chat', async (reader, { participantIdentity }) =>
   *   console.log(participantIdentity, await reader.readAll()));
   */
  registerTextStreamHandler(topic: string, handler: TextStreamHandler): void {
    register('text', this.#textHandlers, topic, handler);
  }

  /** Later streams of that topic are not read. A handler that has one already may finish reading it. */
  unregisterTextStreamHandler(topic: string): void {
    this.#textHandlers.delete(checkText('topic', topic));
  }

  /** As registerTextStreamHandler, for streams of bytes. */
  registerByteStreamHandler(topic: string, handler: ByteStreamHandler): void {
    register('byte', this.#byteHandlers, topic, handler);
  }

  /** As unregisterTextStreamHandler, for streams of bytes. */
  unregisterByteStreamHandler(topic: string): void {
    this.#byteHandlers.delete(checkText('topic', topic));
  }

  /** Causes a failure, to test how a program recovers from it. */
  async simulate(scenario: SimulatedScenario): Promise<void> {
    checkOneOf('scenario', scenario, Object.keys(scenarios) as SimulatedScenario[]);
    await this.#engine.call('simulateScenario', {
      roomHandle: this.#joined(this.#handle),
      scenario: scenarios[scenario],
    });
  }

  #libraryOptions(options: ConnectOptions): LibraryConnect {
    checkOptions('connect', options, connectOptions);
    const { waitFor, deadlines, iceServers, iceTransportPolicy, maxReconnectAttempts } = options;
    const library: LibraryConnect = { name: this.#name };
    if (waitFor !== undefined) library.waitFor = checkOneOf('waitFor', waitFor, ['join', 'media']);
    if (deadlines !== undefined) {
      checkOptions('deadlines', deadlines, Object.keys(defaultDeadlinesMs));
      // The engine checks the numbers; anything else may not even reach it.
      for (const [name, ms] of Object.entries(deadlines)) {
        if (ms !== undefined && typeof ms !== 'number') checkNumberFrom(`deadlines.${name}`, ms, 1);
      }
      library.deadlines = { ...deadlines };
    }
    if (iceServers !== undefined)
      library.iceServers = checkList('iceServers', iceServers).map(checkIceServer);
    if (iceTransportPolicy !== undefined) {
      library.iceTransportPolicy = checkOneOf('iceTransportPolicy', iceTransportPolicy, ['all', 'relay']);
    }
    if (maxReconnectAttempts !== undefined) {
      library.maxReconnectAttempts = checkInteger('maxReconnectAttempts', maxReconnectAttempts, 0, 1_000_000);
    }
    return library;
  }

  #begin(url: string, autoSubscribe: boolean): void {
    this.#url = url;
    this.#autoSubscribe = autoSubscribe;
    this.#spans = [];
    this.#forgottenSpans = 0;
    this.#remoteParticipants = new Map();
    this.#info = undefined;
    this.#localParticipant = undefined;
    this.#closed = closing();
    Object.assign(this.#subject, { room: undefined, identity: undefined });
    this.#setState('connecting');
  }

  /** A connect that was abandoned may still succeed: its room is left at once. */
  #abandon(connect: bigint, connected: Promise<EventOf<'connect'>>): void {
    this.#engine.abandonConnect(connect);
    connected.then(
      ({ message }) => {
        if (message.case === 'result') this.#engine.drop(message.value.room?.handle?.id);
      },
      () => {},
    );
  }

  #onJoined(result: EventValue_<'connect', 'result'>, isEncrypted: boolean): void {
    const { room, localParticipant, participants } = result;
    const handle = room?.handle?.id ?? 0n;
    this.#handle = handle;
    if (isEncrypted) this.#encryption = new RoomEncryption(this.#engine, handle);
    this.#info = roomInfo(room?.info);
    const { identity } = participantInfo(localParticipant?.info);
    Object.assign(this.#subject, { room: this.#info.name, identity });
    this.#localParticipant = new LocalParticipant(
      participantInfo(localParticipant?.info),
      localParticipant?.handle?.id ?? 0n,
    );
    for (const { participant, publications } of participants) {
      const remote = this.#addParticipant(participant);
      for (const publication of publications) this.#addPublication(remote, publication);
    }
    this.#engine.listen(handle, (message) => {
      if (message.case === 'roomEvent') this.#onEvent(message.value.message);
    });
    this.#setState('connected');
    // What the program does once connect has resolved (handlers, streams) comes before the first event.
    setImmediate(() => {
      if (this.#handle === handle) this.#engine.request('readyForRoomEvent', { roomHandle: handle });
    });
  }

  #onNews(news: LibraryNews | TracedStep): void {
    if (news.type === 'step') {
      if (this.#spans.length === 0) this.#startedAtMs = news.startedAtMs;
      this.#spans.push(news.step);
      if (this.#spans.length > maxSpans) {
        this.#spans.splice(keptFirstSpans, 1);
        this.#forgottenSpans++;
      }
    } else if (news.type === 'connectionState' && this.#handle !== undefined) this.#setState(news.state);
  }

  #setState(state: ConnectionState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#emitter.emit('connectionStateChanged', { state });
  }

  #onEvent(event: FfiRoomEvent): void {
    if (event.case === undefined) return;
    const handle = this.#eventHandlers[event.case] as ((value: unknown) => void) | undefined;
    handle?.(event.value);
  }

  readonly #eventHandlers: EventHandlers = {
    participantConnected: ({ info }) => {
      this.#emitter.emit('participantConnected', { participant: this.#addParticipant(info) });
    },
    participantActive: ({ participantIdentity }) => {
      const participant = this.#remote(participantIdentity);
      participant?.update({ state: 'active' });
      if (participant) this.#emitter.emit('participantActive', { participant });
    },
    participantDisconnected: ({ participantIdentity = '', disconnectReason: reason }) => {
      const participant = this.#remote(participantIdentity);
      if (!participant) return;
      this.#remoteParticipants.delete(participantIdentity);
      participant.update({ state: 'disconnected' });
      this.#emitter.emit('participantDisconnected', { participant, reason: disconnectReason(reason) });
    },
    participantsUpdated: ({ participants }) => {
      for (const info of participants) this.#participant(info.identity)?.update(participantInfo(info));
    },
    participantMetadataChanged: ({ participantIdentity, metadata = '' }) => {
      const participant = this.#participant(participantIdentity);
      if (!participant) return;
      const previousMetadata = participant.metadata;
      participant.update({ metadata });
      this.#emitter.emit('participantMetadataChanged', { participant, previousMetadata });
    },
    participantNameChanged: ({ participantIdentity, name = '' }) => {
      const participant = this.#participant(participantIdentity);
      participant?.update({ name });
      if (participant) this.#emitter.emit('participantNameChanged', { participant, name });
    },
    participantAttributesChanged: ({ participantIdentity, attributes, changedAttributes }) => {
      const participant = this.#participant(participantIdentity);
      participant?.update({ attributes: record(attributes) });
      if (participant) {
        this.#emitter.emit('participantAttributesChanged', {
          participant,
          changed: record(changedAttributes),
        });
      }
    },
    participantPermissionChanged: ({ participantIdentity, permission }) => {
      const participant = this.#participant(participantIdentity);
      participant?.update({ permission: participantPermission(permission) });
      if (participant) this.#emitter.emit('participantPermissionChanged', { participant });
    },
    participantEncryptionStatusChanged: ({ participantIdentity, isEncrypted = false }) => {
      const participant = this.#participant(participantIdentity);
      if (participant) this.#emitter.emit('participantEncryptionChanged', { participant, isEncrypted });
    },
    e2eeStateChanged: ({ participantIdentity = '', state }) => {
      this.#emitter.emit('encryptionStateChanged', {
        participant: this.#participant(participantIdentity),
        participantIdentity,
        state: encryptionState(state),
      });
    },
    trackPublished: ({ participantIdentity, publication }) => {
      const participant = this.#remote(participantIdentity);
      if (!participant) return;
      this.#emitter.emit('trackPublished', {
        participant,
        publication: this.#addPublication(participant, publication),
      });
    },
    trackUnpublished: ({ participantIdentity, publicationSid = '' }) => {
      const participant = this.#remote(participantIdentity);
      const publication = participant?.publications.get(publicationSid);
      if (!participant || !publication) return;
      participant.removePublication(publicationSid);
      this.#emitter.emit('trackUnpublished', { participant, publication });
    },
    trackSubscribed: ({ participantIdentity, track: owned }) => {
      const participant = this.#remote(participantIdentity);
      const publication = participant?.publications.get(owned?.info?.sid ?? '');
      if (!participant || !publication) return;
      const Track = publication.kind === 'video' ? RemoteVideoTrack : RemoteAudioTrack;
      const track = new Track(publication.sid, publication.kind, owned?.handle?.id ?? 0n);
      publication.track = track;
      this.#emitter.emit('trackSubscribed', { participant, publication, track });
    },
    trackUnsubscribed: ({ participantIdentity, trackSid = '' }) => {
      const participant = this.#remote(participantIdentity);
      const publication = participant?.publications.get(trackSid);
      const track = publication?.track;
      if (!participant || !publication || !track) return;
      publication.track = undefined;
      this.#emitter.emit('trackUnsubscribed', { participant, publication, track });
    },
    trackSubscriptionFailed: ({ participantIdentity, trackSid = '', error = '' }) => {
      const participant = this.#remote(participantIdentity);
      if (participant) this.#emitter.emit('trackSubscriptionFailed', { participant, trackSid, error });
    },
    trackMuted: ({ participantIdentity, trackSid }) => this.#onMuted(participantIdentity, trackSid, true),
    trackUnmuted: ({ participantIdentity, trackSid }) => this.#onMuted(participantIdentity, trackSid, false),
    localTrackPublished: ({ trackSid = '' }) => {
      const publication = this.#localParticipant?.publications.get(trackSid);
      if (publication) this.#emitter.emit('localTrackPublished', { publication });
    },
    localTrackUnpublished: ({ publicationSid = '' }) => {
      const publication = this.#localParticipant?.removePublication(publicationSid);
      if (publication) this.#emitter.emit('localTrackUnpublished', { publication });
    },
    localTrackRepublished: ({ previousSid = '', info }) => {
      const publication = this.#localParticipant?.republished(previousSid, info);
      if (publication) this.#emitter.emit('localTrackRepublished', { publication, previousSid });
    },
    localTrackSubscribed: ({ trackSid = '' }) => {
      const publication = this.#localParticipant?.publications.get(trackSid);
      if (publication) this.#emitter.emit('localTrackSubscribed', { publication });
    },
    activeSpeakersChanged: ({ participantIdentities }) => {
      const speaking = new Set(participantIdentities);
      for (const participant of this.#everybody())
        participant.isSpeaking = speaking.has(participant.identity);
      const speakers = participantIdentities.flatMap((identity) => this.#participant(identity) ?? []);
      this.#emitter.emit('activeSpeakersChanged', { speakers });
    },
    connectionQualityChanged: ({ participantIdentity, quality }) => {
      const participant = this.#participant(participantIdentity);
      if (!participant) return;
      participant.connectionQuality = connectionQuality(quality);
      this.#emitter.emit('connectionQualityChanged', { participant, quality: participant.connectionQuality });
    },
    roomMetadataChanged: ({ metadata = '' }) => {
      this.#info = { ...this.info, metadata };
      this.#emitter.emit('roomMetadataChanged', { metadata });
    },
    roomSidChanged: ({ sid = '' }) => {
      this.#info = { ...this.info, sid };
      this.#emitter.emit('roomUpdated', { info: this.info });
    },
    roomUpdated: (info) => {
      this.#info = roomInfo(info);
      this.#emitter.emit('roomUpdated', { info: this.info });
    },
    moved: (info) => {
      this.#info = roomInfo(info);
      this.#emitter.emit('moved', { info: this.info });
    },
    dataTrackPublished: ({ track: owned }) => {
      const track = new RemoteDataTrack(owned ?? {});
      const participant = this.#remote(track.publisherIdentity);
      if (!participant) return;
      participant.addDataTrack(track);
      this.#emitter.emit('dataTrackPublished', { participant, track });
    },
    dataTrackUnpublished: ({ sid = '' }) => {
      for (const participant of this.#remoteParticipants.values()) {
        const track = participant.removeDataTrack(sid);
        if (track) this.#emitter.emit('dataTrackUnpublished', { participant, track });
      }
    },
    reconnecting: () => this.#emitter.emit('reconnecting', {}),
    reconnected: () => this.#emitter.emit('reconnected', {}),
    disconnected: ({ reason: number }) => {
      const reason = disconnectReason(number);
      this.#setState('disconnected');
      this.#emitter.emit('disconnected', { reason });
      this.#closed.resolve({ reason });
    },
    dataPacketReceived: ({ participantIdentity, kind, value }) => {
      const participant = this.#remote(participantIdentity);
      const from = { participant, participantIdentity: participantIdentity ?? '' };
      if (value.case === 'sipDtmf') {
        this.#emitter.emit('dtmfReceived', {
          ...from,
          code: value.value.code ?? 0,
          digit: value.value.digit ?? '',
        });
      } else if (value.case === 'user') {
        const { dataPtr, dataLen } = value.value.data?.data ?? {};
        const payload = this.#engine.copyOf(dataPtr, Number(dataLen ?? 0));
        this.#engine.drop(value.value.data?.handle?.id);
        const reliable = kind === protocol.DataPacketKind.KIND_RELIABLE;
        this.#emitter.emit('dataReceived', { ...from, payload, topic: value.value.topic, reliable });
      }
    },
    transcriptionReceived: ({ participantIdentity = '', trackSid = '', segments }) => {
      this.#emitter.emit('transcriptionReceived', {
        participantIdentity,
        trackSid,
        segments: segments.map(
          ({ id = '', text = '', startTime, endTime, final = false, language = '' }) => ({
            id,
            text,
            startTimeMs: Number(startTime ?? 0),
            endTimeMs: Number(endTime ?? 0),
            final,
            language,
          }),
        ),
      });
    },
    textStreamOpened: ({ participantIdentity = '', reader }) => {
      const info = textInfo(reader?.info);
      const handler = this.#textHandlers.get(info.topic);
      const handle = reader?.handle?.id ?? 0n;
      if (!handler) this.#engine.drop(handle);
      else {
        runHandler(`text streams of topic ${info.topic}`, this.#subject, () =>
          handler(new TextStreamReader(handle, info), { participantIdentity }),
        );
      }
    },
    byteStreamOpened: ({ participantIdentity = '', reader }) => {
      const info = byteInfo(reader?.info);
      const handler = this.#byteHandlers.get(info.topic);
      const handle = reader?.handle?.id ?? 0n;
      if (!handler) this.#engine.drop(handle);
      else {
        runHandler(`byte streams of topic ${info.topic}`, this.#subject, () =>
          handler(new ByteStreamReader(handle, info), { participantIdentity }),
        );
      }
    },
    eos: () => this.#over(),
  };

  /** Frees what belongs to the room: nothing comes from it after this. */
  #over(): void {
    this.#engine.drop(this.#handle);
    this.#handle = undefined;
    this.#encryption = undefined;
    this.#localParticipant?.close();
    if (this.#connect !== undefined) this.#engine.connectOver(this.#connect);
    this.#connect = undefined;
    this.#setState('disconnected');
    this.#closed.resolve({ reason: 'unknownReason' });
    this.#emitter.end();
  }

  #onMuted(participantIdentity: string | undefined, trackSid = '', muted: boolean): void {
    const participant = this.#participant(participantIdentity);
    const publication: TrackPublication | undefined = participant?.publications.get(trackSid);
    if (!participant || !publication) return;
    publication.update({ muted });
    this.#emitter.emit(muted ? 'trackMuted' : 'trackUnmuted', { participant, publication });
  }

  #addParticipant(owned: InitOf<OwnedParticipant> | undefined): RemoteParticipant {
    const participant = new RemoteParticipant(participantInfo(owned?.info));
    // Nothing is asked of a remote participant by its handle.
    this.#engine.drop(owned?.handle?.id);
    this.#remoteParticipants.set(participant.identity, participant);
    return participant;
  }

  #addPublication(
    participant: RemoteParticipant,
    owned: InitOf<OwnedPublication> | undefined,
  ): RemoteTrackPublication {
    const handle = owned?.handle?.id ?? 0n;
    const info = publicationInfo(owned?.info);
    const publication = new RemoteTrackPublication(info, participant.identity, handle, this.#autoSubscribe);
    participant.addPublication(publication);
    return publication;
  }

  #remote(identity = ''): RemoteParticipant | undefined {
    return this.#remoteParticipants.get(identity);
  }

  #participant(identity = ''): Participant | undefined {
    return identity === this.#localParticipant?.identity ? this.#localParticipant : this.#remote(identity);
  }

  #everybody(): Participant[] {
    return [
      ...(this.#localParticipant ? [this.#localParticipant] : []),
      ...this.#remoteParticipants.values(),
    ];
  }

  #joined<Part>(part: Part | undefined): Part {
    if (part !== undefined) return part;
    if (this.#info)
      throw new OffhookError('OFFHOOK_CLOSED', 'the room is over', { advice: 'Connect again.' });
    throw new OffhookError('OFFHOOK_CLOSED', 'the room has not been joined', {
      advice: 'Await connect first.',
    });
  }
}

function closing(): { promise: Promise<RoomClosed>; resolve: (closed: RoomClosed) => void } {
  let resolve: (closed: RoomClosed) => void = () => {};
  const promise = new Promise<RoomClosed>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

function checkIceServer(server: unknown): IceServer & { urls: string[] } {
  checkOptions('an item of iceServers', server, ['urls', 'username', 'credential']);
  const { urls, username, credential } = server as IceServer;
  return {
    urls: checkTexts('urls of an ICE server', urls),
    ...(username === undefined ? {} : { username: checkText('username of an ICE server', username) }),
    ...(credential === undefined ? {} : { credential: checkText('credential of an ICE server', credential) }),
  };
}

const maxSpans = 512;
/** Of a room that reconnects for days, the first connect is kept, and what happened lately. */
const keptFirstSpans = 64;

type EventValue_<Name extends 'connect', Case extends string> = Extract<
  EventOf<Name>['message'],
  { case: Case }
>['value'];

type ConnectResult = EventValue_<'connect', 'result'>;
type OwnedParticipant = NonNullable<ConnectResult['localParticipant']>;
type OwnedPublication = ConnectResult['participants'][number]['publications'][number];

function register<Handler>(
  kind: string,
  handlers: Map<string, Handler>,
  topic: string,
  handler: Handler,
): void {
  checkText('topic', topic);
  checkFunction('handler', handler);
  if (handlers.has(topic)) {
    throw new OffhookError(
      'OFFHOOK_INVALID_REQUEST',
      `topic ${topic} already has a handler of ${kind} streams`,
      {
        advice: 'Unregister it first.',
      },
    );
  }
  handlers.set(topic, handler);
}

function record(entries: readonly { key?: string; value?: string }[]): Record<string, string> {
  return Object.fromEntries(entries.map(({ key = '', value = '' }) => [key, value]));
}

function roomInfo(info: Partial<EventValue<'roomUpdated'>> | undefined): RoomInfo {
  return {
    sid: info?.sid ?? '',
    name: info?.name ?? '',
    metadata: info?.metadata ?? '',
    emptyTimeoutSeconds: info?.emptyTimeout ?? 0,
    departureTimeoutSeconds: info?.departureTimeout ?? 0,
    maxParticipants: info?.maxParticipants ?? 0,
    createdAtMs: Number(info?.creationTime ?? 0),
    numParticipants: info?.numParticipants ?? 0,
    numPublishers: info?.numPublishers ?? 0,
    activeRecording: info?.activeRecording ?? false,
  };
}

/** Every error of a connect says how long it took, and what can be done about it. */
function withElapsed(error: unknown, elapsedMs: number): unknown {
  if (!(error instanceof OffhookError)) return error;
  const { code, message, stage, host, advice } = error;
  return new OffhookError(code, message, {
    stage,
    host,
    elapsedMs: error.elapsedMs ?? elapsedMs,
    advice,
    cause: error.cause,
  });
}

import { CandidateProtocol, DisconnectReason, SimulateScenario } from '@livekit/protocol';
import type { FrameFilter } from '../audio/index.js';
import { resolveDeadlines } from '../deadlines/index.js';
import { describeError, OffhookError } from '../errors/index.js';
import { FilterRegistry } from '../filters/index.js';
import { createLogger, type Logger } from '../logging/index.js';
import { subjectOfIdentity, subjectOfToken } from '../signal/index.js';
import {
  describeDuration,
  logTimeline,
  summarizeTimeline,
  Timeline,
  traceTimeline,
} from '../timeline/index.js';
import type { ConnectionState } from './connection/connection-state.js';
import type { RoomEncryption } from './encryption.js';
import { Engine } from './engine.js';
import type { RoomEvent } from './events.js';
import { FilterStreams } from './filter-streams.js';
import type { RoomInfo } from './info.js';
import type { SentTrack } from './media/sent-track.js';
import { RoomObjects } from './objects.js';
import type { ConnectOptions, RoomOptions, StreamFilter } from './options.js';
import type { LocalParticipant } from './participants/local-participant.js';
import type { RemoteParticipant } from './participants/remote-participant.js';
import type { RoomState } from './state/room-state.js';
import type { Step } from './state/step.js';
import { type RoomStats, roomStats } from './stats.js';
import type { LocalTrackPublication } from './tracks/local-track-publication.js';
import type { RemoteTrack } from './tracks/remote-track.js';

const log = createLogger('room');

let shared: FilterRegistry | undefined;

/** The filters of rooms that were given none of their own: what comes with the engine. */
function defaultFilters(): FilterRegistry {
  shared ??= new FilterRegistry();
  return shared;
}

/** What `Room.simulate` can bring about, as LiveKit's SimulateScenario names it. */
export type SimulatedScenario =
  | 'signalReconnect'
  | 'fullReconnect'
  | 'speaker'
  | 'nodeFailure'
  | 'serverLeave'
  | 'migration'
  | 'forceTcp'
  | 'forceTls'
  | 'disconnectSignalOnResume';

/** One participant's connection to a LiveKit room. */
export class Room {
  /** Every step of connecting and reconnecting, with its times, addresses and outcome. */
  readonly timeline: Timeline;
  /** Takes every event, in order. What it throws is logged and does not stop the room. */
  onEvent: (event: RoomEvent) => void = () => {};
  #options: RoomOptions;
  #log: Logger;
  #engine: Engine | undefined;
  #objects: RoomObjects | undefined;
  #filters: FilterStreams | undefined;
  #stopTracing: () => void = () => {};
  /** Steps that are yet to be told of, the first of them being told. */
  #steps: Step[] = [];

  constructor(options: RoomOptions = {}) {
    this.#options = options;
    this.timeline = new Timeline(options.name ?? 'room');
    this.#log = log.about(this.timeline.subject);
    logTimeline(this.timeline, log);
  }

  get connectionState(): ConnectionState {
    return this.#engine?.connection.state ?? 'disconnected';
  }

  /** One peer connection carries both directions; false before there is a session. */
  get isSingle(): boolean {
    return this.#engine?.connection.session?.isSingle ?? false;
  }

  /** @throws OffhookError `OFFHOOK_CLOSED` before the room was joined. */
  get info(): RoomInfo {
    return this.#joined(this.#engine?.state).room;
  }

  /** Undefined in a room that was joined without encryption. */
  get encryption(): RoomEncryption | undefined {
    return this.#engine?.encryption;
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
    // Of the connect before nothing is left.
    const unknown = { room: undefined, identity: undefined, job: undefined };
    const shownUrl = withoutQuery(urls[0] ?? '');
    Object.assign(this.timeline.subject, { ...unknown, url: shownUrl, ...subjectOfToken(token) });
    const deadlines = resolveDeadlines(options.deadlines);
    const engine = new Engine({
      urls,
      token,
      timeline: this.timeline,
      deadlines,
      connect: options,
      random: this.#options.random ?? Math.random,
      onJoined: (state) => this.#onJoined(engine, state, options),
      onStep: (step) => this.#onStep(step),
      onData: (event) => this.#emit(event),
      onEncryption: (event) => this.#emit(event),
    });
    this.#engine = engine;
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
      const connected = engine.connection.connect();
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
        `${this.timeline.name}: joined ${engine.connection.url} after ${elapsed}: ${summarizeTimeline(steps)}`,
      );
    } catch (error) {
      engine.close(describeError(error));
      filters?.close();
      throw error;
    } finally {
      options.signal?.removeEventListener('abort', onAbort);
    }
  }

  /** Leaves the room, at any moment of connecting or reconnecting too; nothing of it is left behind. */
  async disconnect(reason: DisconnectReason = DisconnectReason.CLIENT_INITIATED): Promise<void> {
    this.#engine?.connection.disconnect(reason);
  }

  /** Brings about a failure, to see how a program gets over it. */
  simulate(scenario: SimulatedScenario): void {
    const engine = this.#joined(this.#engine);
    if (scenario === 'signalReconnect') engine.connection.simulate('signalLost');
    else if (scenario === 'fullReconnect') engine.connection.simulate('leaveReconnect');
    else
      engine.connection.send({ case: 'simulate', value: new SimulateScenario({ scenario: serverScenarios[scenario] }) });
    if (scenario === 'disconnectSignalOnResume') engine.connection.simulate('signalLost');
    // The next session of this participant gets candidates of that kind alone.
    if (scenario === 'forceTcp' || scenario === 'forceTls') engine.connection.simulate('leaveReconnect');
  }

  stats(): RoomStats {
    return roomStats(this.#joined(this.#engine));
  }

  #joined<Part>(part: Part | undefined): Part {
    if (part === undefined) throw new OffhookError('OFFHOOK_CLOSED', 'the room has not been joined');
    return part;
  }

  #onJoined(engine: Engine, state: RoomState, options: ConnectOptions): void {
    const { room, local } = state;
    Object.assign(this.timeline.subject, { room: room.name, ...subjectOfIdentity(local.identity) });
    this.#objects = new RoomObjects({
      state,
      autoSubscribe: options.autoSubscribe ?? true,
      media: engine.media,
      subject: this.timeline.subject,
      tracks: {
        setSubscribed: (sid, subscribed) => engine.subscriptions.setSubscribed(sid, subscribed),
        updateTrackSettings: (value) => engine.connection.send({ case: 'trackSetting', value }),
        createFilter: (track, filter, format) => this.#createFilter(track, filter, format),
      },
      local: {
        data: engine.data,
        requests: engine.requests,
        dataTracks: engine.dataTracks,
        publishTrack: async (track, publishOptions) => {
          const sent = await engine.tracks.publish(track, publishOptions);
          return this.#addLocalPublication(engine, sent);
        },
        unpublish: (sid) => engine.tracks.unpublish(sid),
        setTrackSubscriptionPermissions: (permission) => engine.subscriptions.setPermission(permission),
      },
    });
  }

  #addLocalPublication(engine: Engine, sent: SentTrack): LocalTrackPublication {
    const { sid } = sent.info;
    const track = this.#joined(engine.state?.localTracks.get(sid));
    const publication = this.#joined(this.#objects).addLocalPublication(track.info, sent);
    // Whoever published is to know the publication before the event tells of it.
    setImmediate(() => engine.dispatch({ type: 'localTrackAnnounced', sid: publication.sid }));
    return publication;
  }

  /** Tells of steps one after another: what a program does about an event may bring about the next step. */
  #onStep(step: Step): void {
    this.#steps.push(step);
    if (this.#steps.length > 1) return;
    for (let next: Step | undefined = step; next; next = this.#steps[0]) {
      this.#tell(next);
      this.#steps.shift();
    }
  }

  #tell({ state, events }: Step): void {
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

const serverScenarios: Record<
  Exclude<SimulatedScenario, 'signalReconnect' | 'fullReconnect'>,
  SimulateScenario['scenario']
> = {
  speaker: { case: 'speakerUpdate', value: 3 },
  nodeFailure: { case: 'nodeFailure', value: true },
  serverLeave: { case: 'serverLeave', value: true },
  migration: { case: 'migration', value: true },
  forceTcp: { case: 'switchCandidateProtocol', value: CandidateProtocol.TCP },
  forceTls: { case: 'switchCandidateProtocol', value: CandidateProtocol.TLS },
  disconnectSignalOnResume: { case: 'disconnectSignalOnResume', value: true },
};

/** A URL as it may be shown: its query may hold a token. */
function withoutQuery(url: string): string {
  return url.replace(/[?#].*$/s, '').replace(/\/\/[^/]*@/, '//');
}

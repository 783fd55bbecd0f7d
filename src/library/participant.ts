import { checkOneOf } from '../errors/index.js';
import type { RemoteDataTrack } from './data-tracks.js';
import type { RemoteTrackPublication, TrackPublication } from './tracks.js';
import {
  type ConnectionQuality,
  type ParticipantKind,
  type ParticipantState,
  participantKind,
  participantState,
  sources,
  type TrackSource,
  trackSource,
} from './values.js';

/** What a participant may do. */
export interface ParticipantPermission {
  canSubscribe: boolean;
  canPublish: boolean;
  canPublishData: boolean;
  /** When not empty, only these sources may be published. */
  canPublishSources: readonly TrackSource[];
  hidden: boolean;
  canUpdateMetadata: boolean;
}

/** A participant as the server describes it. A snapshot: it does not change. */
export interface ParticipantInfo {
  sid: string;
  identity: string;
  name: string;
  state: ParticipantState;
  metadata: string;
  attributes: Readonly<Record<string, string>>;
  kind: ParticipantKind;
  /** Milliseconds since 1970. */
  joinedAtMs: number;
  permission: ParticipantPermission | undefined;
}

interface FfiPermission {
  canSubscribe?: boolean;
  canPublish?: boolean;
  canPublishData?: boolean;
  canPublishSources?: number[];
  hidden?: boolean;
  canUpdateMetadata?: boolean;
}

interface FfiParticipantInfo {
  sid?: string;
  identity?: string;
  name?: string;
  state?: number;
  metadata?: string;
  attributes?: Record<string, string>;
  kind?: number;
  joinedAt?: bigint;
  permission?: FfiPermission;
}

export function participantPermission(
  permission: FfiPermission | undefined,
): ParticipantPermission | undefined {
  return (
    permission && {
      canSubscribe: permission.canSubscribe ?? false,
      canPublish: permission.canPublish ?? false,
      canPublishData: permission.canPublishData ?? false,
      canPublishSources: (permission.canPublishSources ?? []).map(trackSource),
      hidden: permission.hidden ?? false,
      canUpdateMetadata: permission.canUpdateMetadata ?? false,
    }
  );
}

export function participantInfo(info: FfiParticipantInfo | undefined): ParticipantInfo {
  return {
    sid: info?.sid ?? '',
    identity: info?.identity ?? '',
    name: info?.name ?? '',
    state: participantState(info?.state),
    metadata: info?.metadata ?? '',
    attributes: { ...info?.attributes },
    kind: participantKind(info?.kind),
    joinedAtMs: Number(info?.joinedAt ?? 0),
    permission: participantPermission(info?.permission),
  };
}

/** Someone in the room. Its properties are the latest that the server sent. */
export abstract class Participant {
  #info: ParticipantInfo;
  /** Whether the server counts it among the active speakers. */
  isSpeaking = false;
  /** As the server rates it. */
  connectionQuality: ConnectionQuality = 'unknown';

  /** @internal */
  constructor(info: ParticipantInfo) {
    this.#info = info;
  }

  /** By sid. */
  abstract get publications(): ReadonlyMap<string, TrackPublication>;

  /** The latest description by the server. */
  get info(): ParticipantInfo {
    return this.#info;
  }

  /** The server's id of this session; it changes with a full reconnect. */
  get sid(): string {
    return this.#info.sid;
  }

  /** Who it is, as its token says. Unique in a room. */
  get identity(): string {
    return this.#info.identity;
  }

  /** The name to show; may be empty. */
  get name(): string {
    return this.#info.name;
  }

  /** Text of the program's own. */
  get metadata(): string {
    return this.#info.metadata;
  }

  /** Texts of the program's own, by key. */
  get attributes(): Readonly<Record<string, string>> {
    return this.#info.attributes;
  }

  /** What it is: `standard` for people, `agent`, `sip` for telephones, … */
  get kind(): ParticipantKind {
    return this.#info.kind;
  }

  /** Undefined while the server has not sent it. */
  get permission(): ParticipantPermission | undefined {
    return this.#info.permission;
  }

  /** @internal */
  update(changes: Partial<ParticipantInfo>): void {
    this.#info = { ...this.#info, ...changes };
  }
}

/** The first publication of a source. */
export function publicationOf<Publication extends TrackPublication>(
  publications: ReadonlyMap<string, Publication>,
  source: TrackSource,
): Publication | undefined {
  checkOneOf('source', source, sources);
  return [...publications.values()].find((publication) => publication.source === source);
}

/** Another participant, from its `participantConnected` to its `participantDisconnected`. */
export class RemoteParticipant extends Participant {
  readonly #publications = new Map<string, RemoteTrackPublication>();
  readonly #dataTracks = new Map<string, RemoteDataTrack>();

  /** Its publications, by sid. */
  get publications(): ReadonlyMap<string, RemoteTrackPublication> {
    return this.#publications;
  }

  /** Its publication of a source, `microphone` for example. */
  publication(source: TrackSource): RemoteTrackPublication | undefined {
    return publicationOf(this.#publications, source);
  }

  /** The data tracks that it publishes, by the sid that they were announced with. */
  get dataTracks(): ReadonlyMap<string, RemoteDataTrack> {
    return this.#dataTracks;
  }

  /** @internal */
  addDataTrack(track: RemoteDataTrack): void {
    this.#dataTracks.set(track.info.sid, track);
  }

  /** @internal The server may have given a track another sid since it was announced. */
  removeDataTrack(sid: string): RemoteDataTrack | undefined {
    const track =
      this.#dataTracks.get(sid) ?? [...this.#dataTracks.values()].find(({ isPublished }) => !isPublished);
    if (track) this.#dataTracks.delete(track.info.sid);
    return track;
  }

  /** @internal */
  addPublication(publication: RemoteTrackPublication): void {
    this.#publications.set(publication.sid, publication);
  }

  /** @internal */
  removePublication(sid: string): void {
    this.#publications.delete(sid);
  }
}

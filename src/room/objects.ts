import { TrackType } from '@livekit/protocol';
import { createLogger, type LogSubject } from '../logging/index.js';
import type { RoomEvent, StateEvent } from './events.js';
import type { TrackPublicationInfo } from './info.js';
import type { RemoteMedia } from './media/remote-media.js';
import type { SentTrack } from './media/sent-track.js';
import { LocalParticipant, type LocalParticipantHost } from './participants/local-participant.js';
import type { Participant } from './participants/participant.js';
import { RemoteParticipant } from './participants/remote-participant.js';
import type { RoomState } from './state/room-state.js';
import { LocalTrackPublication } from './tracks/local-track-publication.js';
import { RemoteAudioTrack } from './tracks/remote-audio-track.js';
import { RemoteTrack, type RemoteTrackHost } from './tracks/remote-track.js';
import { RemoteTrackPublication } from './tracks/remote-track-publication.js';
import { RemoteVideoTrack } from './tracks/remote-video-track.js';

const log = createLogger('room/objects');

interface RoomObjectsOptions {
  state: RoomState;
  autoSubscribe: boolean;
  local: LocalParticipantHost;
  tracks: RemoteTrackHost;
  media: RemoteMedia;
  subject: LogSubject;
}

/** Participants and publications as programs hold them: made, renewed and dropped as the state's events say. */
export class RoomObjects {
  readonly localParticipant: LocalParticipant;
  readonly remoteParticipants = new Map<string, RemoteParticipant>();
  #options: RoomObjectsOptions;
  #state: RoomState;
  /** Identities of those who spoke at the last update. */
  #speaking: string[] = [];

  constructor(options: RoomObjectsOptions) {
    this.#options = options;
    this.#state = options.state;
    this.localParticipant = new LocalParticipant(options.state.local, options.local);
    for (const { info, tracks } of options.state.remotes.values()) {
      const participant = this.#addRemote(info.identity);
      for (const sid of tracks.keys()) if (participant) this.#addPublication(participant, sid);
    }
  }

  /** Takes what is known now; events of this state follow one by one. */
  update(state: RoomState): void {
    const changed = this.#state.remotes.changedKeys(state.remotes);
    this.#state = state;
    this.localParticipant.update(state.local);
    for (const [sid, publication] of this.localParticipant.publications) {
      const track = state.localTracks.get(sid);
      if (track) publication.update(track.info);
    }
    for (const identity of changed) {
      const participant = this.remoteParticipants.get(identity);
      const remote = state.remotes.get(identity);
      // Of another session of the same identity: an event follows on this one's end.
      if (!participant || remote?.info.sid !== participant.sid) continue;
      participant.update(remote.info);
      for (const [sid, publication] of participant.publications) {
        const track = remote.tracks.get(sid);
        if (!track) continue;
        publication.update(track.info);
        publication.subscriptionAllowed = track.allowed;
      }
    }
  }

  /**
   * The event with the objects that it names, which are there from now on; `after` drops those that it ends.
   *
   * @returns undefined for an event about something that is not known (any more)
   */
  resolve(event: StateEvent): RoomEvent | undefined {
    switch (event.type) {
      case 'participantConnected': {
        const participant = this.#addRemote(event.participantIdentity);
        return participant && { ...event, participant };
      }
      case 'participantActive':
      case 'participantDisconnected': {
        const participant = this.remoteParticipants.get(event.participantIdentity);
        return participant && { ...event, participant };
      }
      case 'participantsUpdated': {
        const participants = event.participantIdentities
          .map((identity) => this.participant(identity))
          .filter((participant) => participant !== undefined);
        return { ...event, participants };
      }
      case 'trackPublished':
      case 'trackUnpublished':
        return this.#resolvePublication(event);
      case 'trackSubscribed':
      case 'trackUnsubscribed':
        return this.#resolveTrack(event);
      case 'localTrackPublished':
      case 'localTrackUnpublished': {
        const sid = event.type === 'localTrackPublished' ? event.trackSid : event.publicationSid;
        const publication = this.localParticipant.publications.get(sid);
        return publication && { ...event, publication };
      }
      case 'localTrackRepublished': {
        const publication = this.localParticipant.publications.get(event.previousSid);
        const track = this.#state.localTracks.get(event.publicationSid);
        if (!publication || !track) return undefined;
        this.localParticipant.removePublication(event.previousSid);
        publication.update(track.info);
        this.localParticipant.addPublication(publication);
        return { ...event, publication };
      }
      case 'activeSpeakersChanged':
        this.#updateSpeaking(event.speakers);
        return event;
      case 'connectionQualityChanged': {
        const participant = this.participant(event.participantIdentity);
        if (participant) participant.connectionQuality = event.quality;
        return event;
      }
      default:
        return event;
    }
  }

  /** The event was delivered: removes what ended with it. */
  after(event: RoomEvent): void {
    switch (event.type) {
      case 'participantDisconnected':
        this.remoteParticipants.delete(event.participantIdentity);
        break;
      case 'trackUnpublished':
        event.participant.removePublication(event.publicationSid);
        break;
      case 'trackUnsubscribed':
        event.publication.track = undefined;
        this.#options.media.forget(event.trackSid);
        break;
      case 'trackSubscriptionFailed':
        this.#options.media.forget(event.trackSid);
        break;
      case 'localTrackUnpublished':
        this.localParticipant.removePublication(event.publicationSid);
        break;
      default:
    }
  }

  /** A new session does not know what programs set on tracks: sends it again. */
  repeatSettings(): void {
    for (const { publications } of this.remoteParticipants.values()) {
      for (const publication of publications.values()) publication.repeatSettings();
    }
  }

  participant(identity: string): Participant | undefined {
    if (identity === this.localParticipant.identity) return this.localParticipant;
    return this.remoteParticipants.get(identity);
  }

  /** A track of ours was published: its publication, which its event will name. */
  addLocalPublication(info: TrackPublicationInfo, sent: SentTrack): LocalTrackPublication {
    const publication = new LocalTrackPublication(info, sent.track, sent.options);
    this.localParticipant.addPublication(publication);
    return publication;
  }

  #addRemote(identity: string): RemoteParticipant | undefined {
    const remote = this.#state.remotes.get(identity);
    const participant = remote && new RemoteParticipant(remote.info);
    if (participant) this.remoteParticipants.set(identity, participant);
    return participant;
  }

  #addPublication(participant: RemoteParticipant, sid: string): RemoteTrackPublication | undefined {
    const track = this.#state.remotes.get(participant.identity)?.tracks.get(sid);
    if (!track) return undefined;
    const { tracks, autoSubscribe } = this.#options;
    const publication = new RemoteTrackPublication(track.info, participant.identity, tracks, autoSubscribe);
    participant.addPublication(publication);
    return publication;
  }

  #resolvePublication(
    event: Extract<StateEvent, { type: 'trackPublished' | 'trackUnpublished' }>,
  ): RoomEvent | undefined {
    const participant = this.remoteParticipants.get(event.participantIdentity);
    if (!participant) return undefined;
    const publication =
      event.type === 'trackPublished'
        ? this.#addPublication(participant, event.publicationSid)
        : participant.publications.get(event.publicationSid);
    return publication && { ...event, participant, publication };
  }

  #resolveTrack(
    event: Extract<StateEvent, { type: 'trackSubscribed' | 'trackUnsubscribed' }>,
  ): RoomEvent | undefined {
    const participant = this.remoteParticipants.get(event.participantIdentity);
    const publication = participant?.publications.get(event.trackSid);
    if (!participant || !publication) return undefined;
    if (event.type === 'trackSubscribed') publication.track = this.#makeTrack(publication);
    const { track } = publication;
    return track && { ...event, participant, publication, track };
  }

  #makeTrack(publication: RemoteTrackPublication): RemoteTrack | undefined {
    const media = this.#options.media.get(publication.sid);
    if (!media) {
      log
        .about(this.#options.subject)
        .warn(`track ${publication.sid} is subscribed to, but its media is gone`);
      return undefined;
    }
    const { audio, video } = media;
    const section = () => media.section;
    if (publication.kind === TrackType.AUDIO && audio)
      return new RemoteAudioTrack(publication, audio, section, this.#options.tracks);
    if (publication.kind === TrackType.VIDEO && video)
      return new RemoteVideoTrack(publication, video, section);
    return new RemoteTrack(publication);
  }

  #updateSpeaking(speakers: readonly { participantIdentity: string; level: number }[]): void {
    const levels = new Map(speakers.map(({ participantIdentity, level }) => [participantIdentity, level]));
    for (const identity of new Set([...this.#speaking, ...levels.keys()])) {
      const participant = this.participant(identity);
      if (!participant) continue;
      const level = levels.get(identity);
      participant.isSpeaking = level !== undefined;
      participant.audioLevel = level ?? 0;
    }
    this.#speaking = [...levels.keys()];
  }
}

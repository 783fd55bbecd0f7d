import type { ParticipantInfo, RoomInfo, Speaker, TrackPublicationInfo } from '../info.js';
import type { VersionedMap } from './versioned-map.js';

export interface RemoteTrackState {
  info: TrackPublicationInfo;
  /** Whether its media is being received. */
  receiving: boolean;
  /** Whether the publisher lets us subscribe. */
  allowed: boolean;
}

export interface RemoteParticipantState {
  info: ParticipantInfo;
  /** By sid. */
  tracks: VersionedMap<string, RemoteTrackState>;
}

export interface LocalTrackState {
  info: TrackPublicationInfo;
  /** Whether its event was delivered: that waits until the call that published it has returned. */
  announced: boolean;
  /** Whether somebody subscribed to it. */
  subscribed: boolean;
}

/** Everything that is known of a room that was joined. Never changed in place. */
export interface RoomState {
  coarse: 'connected' | 'reconnecting' | 'disconnected';
  room: RoomInfo;
  local: ParticipantInfo;
  /** By sid. */
  localTracks: ReadonlyMap<string, LocalTrackState>;
  /** Tracks of ours that were subscribed to before they were known to be published, by sid. */
  subscribedEarly: ReadonlySet<string>;
  /** By identity. */
  remotes: VersionedMap<string, RemoteParticipantState>;
  /** Identities of `remotes` by participant sid. */
  identities: VersionedMap<string, string>;
  /** Identities of the publishers of their tracks by track sid. */
  publishers: VersionedMap<string, string>;
  /** Media that came before its publication: participant sid by track sid. */
  unclaimedMedia: ReadonlyMap<string, string>;
  /** The loudest first. */
  speakers: readonly Speaker[];
  /**
   * While a session resumes: who the server has mentioned since. It lists everybody who is there, so who is not mentioned
   * left while there was no connection.
   */
  mentioned: VersionedMap<string, true> | undefined;
}

/** The remote participant with this sid; the server uses sids where identities are ambiguous. */
export function remoteBySid(state: RoomState, sid: string): RemoteParticipantState | undefined {
  const identity = state.identities.get(sid);
  return identity === undefined ? undefined : state.remotes.get(identity);
}

/** Identity of whoever has this sid, the local participant included. */
export function identityBySid(state: RoomState, sid: string): string | undefined {
  return sid === state.local.sid ? state.local.identity : remoteBySid(state, sid)?.info.identity;
}

/** The participant that publishes a track. */
export function publisherOf(state: RoomState, trackSid: string): RemoteParticipantState | undefined {
  const identity = state.publishers.get(trackSid);
  return identity === undefined ? undefined : state.remotes.get(identity);
}

import type { ParticipantInfo, RoomInfo, Speaker, TrackPublicationInfo } from '../info.js';

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
  tracks: ReadonlyMap<string, RemoteTrackState>;
}

export interface LocalTrackState {
  info: TrackPublicationInfo;
  /** Whether programs were told of it: that waits until the call that published it has returned. */
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
  remotes: ReadonlyMap<string, RemoteParticipantState>;
  /** Media that came before its publication: participant sid by track sid. */
  unclaimedMedia: ReadonlyMap<string, string>;
  /** The loudest first. */
  speakers: readonly Speaker[];
  /**
   * While a session resumes: who the server has mentioned since. It tells everybody who is there, so that whoever is
   * not mentioned left while nobody could tell us.
   */
  mentioned: ReadonlySet<string> | undefined;
}

/** The remote participant with this sid; the server uses sids where identities are ambiguous. */
export function remoteBySid(state: RoomState, sid: string): RemoteParticipantState | undefined {
  for (const remote of state.remotes.values()) if (remote.info.sid === sid) return remote;
  return undefined;
}

/** Identity of whoever has this sid, the local participant included. */
export function identityBySid(state: RoomState, sid: string): string | undefined {
  return sid === state.local.sid ? state.local.identity : remoteBySid(state, sid)?.info.identity;
}

/** The participant that publishes a track. */
export function publisherOf(state: RoomState, trackSid: string): RemoteParticipantState | undefined {
  for (const remote of state.remotes.values()) if (remote.tracks.has(trackSid)) return remote;
  return undefined;
}

import type { TrackInfo as TrackMessage } from '@livekit/protocol';
import type { StateEvent } from '../events.js';
import {
  type LocalTrackState,
  publisherOf,
  type RemoteParticipantState,
  type RemoteTrackState,
  type RoomState,
  remoteBySid,
} from './room-state.js';
import { andThen, forEach, type Step, unchanged, withoutKey, withRemote } from './step.js';
import { toPublicationInfo } from './translate.js';

/** Takes the list of a remote participant's tracks: what is new, what changed, and what is no longer there. */
export function updateTracks(state: RoomState, identity: string, tracks: readonly TrackMessage[]): Step {
  const step = forEach(state, tracks, (before, track) => updateTrack(before, identity, track));
  const valid = new Set(tracks.map(({ sid }) => sid));
  return andThen(step, (before) => {
    const gone = [...(before.remotes.get(identity)?.tracks.keys() ?? [])].filter((sid) => !valid.has(sid));
    return forEach(before, gone, (current, sid) => removeTrack(current, identity, sid));
  });
}

export function removeTrack(state: RoomState, identity: string, sid: string): Step {
  const remote = state.remotes.get(identity);
  const track = remote?.tracks.get(sid);
  if (!remote || !track) return unchanged(state);
  const events: StateEvent[] = [];
  if (track.receiving)
    events.push({ type: 'trackUnsubscribed', participantIdentity: identity, trackSid: sid });
  events.push({ type: 'trackUnpublished', participantIdentity: identity, publicationSid: sid });
  const rest = withRemote(state, { ...remote, tracks: remote.tracks.without(sid) });
  const isPublisher = state.publishers.get(sid) === identity;
  return { state: isPublisher ? { ...rest, publishers: rest.publishers.without(sid) } : rest, events };
}

/** Media of a track came. Where its publication is not known yet, it is kept for when it is. */
export function mediaArrived(state: RoomState, participantSid: string, trackSid: string): Step {
  const remote = publisherOf(state, trackSid);
  const track = remote?.tracks.get(trackSid);
  if (!remote || !track) {
    const unclaimedMedia = new Map(state.unclaimedMedia).set(trackSid, participantSid);
    return unchanged({ ...state, unclaimedMedia });
  }
  if (track.receiving) return unchanged(state);
  return {
    state: withTrack(state, remote, { ...track, receiving: true }),
    events: [{ type: 'trackSubscribed', participantIdentity: remote.info.identity, trackSid }],
  };
}

export function mediaEnded(state: RoomState, trackSid: string): Step {
  const rest = { ...state, unclaimedMedia: withoutKey(state.unclaimedMedia, trackSid) };
  const remote = publisherOf(state, trackSid);
  const track = remote?.tracks.get(trackSid);
  if (!remote || !track?.receiving) return unchanged(rest);
  return {
    state: withTrack(rest, remote, { ...track, receiving: false }),
    events: [{ type: 'trackUnsubscribed', participantIdentity: remote.info.identity, trackSid }],
  };
}

/** Media came a while ago, and no publication was announced for it. */
export function mediaUnclaimed(state: RoomState, trackSid: string): Step {
  const participantSid = state.unclaimedMedia.get(trackSid);
  if (participantSid === undefined) return unchanged(state);
  const rest = { ...state, unclaimedMedia: withoutKey(state.unclaimedMedia, trackSid) };
  const participantIdentity = remoteBySid(state, participantSid)?.info.identity;
  if (participantIdentity === undefined) return unchanged(rest);
  const error = `no publication of track ${trackSid} was announced`;
  return {
    state: rest,
    events: [{ type: 'trackSubscriptionFailed', participantIdentity, trackSid, error }],
  };
}

export function setAllowed(state: RoomState, trackSid: string, allowed: boolean): Step {
  const remote = publisherOf(state, trackSid);
  const track = remote?.tracks.get(trackSid);
  if (!remote || !track || track.allowed === allowed) return unchanged(state);
  const step = unchanged(withTrack(state, remote, { ...track, allowed }));
  return allowed ? step : andThen(step, (before) => mediaEnded(before, trackSid));
}

/** Takes what the server says of our own tracks. Those it does not list may only not be known to it yet. */
export function updateLocalTracks(state: RoomState, tracks: readonly TrackMessage[]): Step {
  const known = tracks.filter(({ sid }) => state.localTracks.has(sid));
  if (known.length === 0) return unchanged(state);
  const localTracks = new Map(state.localTracks);
  for (const track of known) {
    // Whether we are muted is ours to say; the server mutes us by a message of its own.
    const before = localTracks.get(track.sid)!;
    const info = { ...toPublicationInfo(track), muted: before.info.muted };
    localTracks.set(track.sid, { ...before, info });
  }
  return unchanged({ ...state, localTracks });
}

export function setLocalMuted(state: RoomState, sid: string, muted: boolean): Step {
  const track = state.localTracks.get(sid);
  if (!track || track.info.muted === muted) return unchanged(state);
  const type = muted ? 'trackMuted' : 'trackUnmuted';
  return {
    state: withLocalTrack(state, { ...track, info: { ...track.info, muted } }),
    events: [{ type, participantIdentity: state.local.identity, trackSid: sid }],
  };
}

/** The server took a track of ours. Its event comes with `announceLocal`. */
export function addLocal(state: RoomState, message: TrackMessage): Step {
  const info = toPublicationInfo(message);
  const subscribed = state.subscribedEarly.has(info.sid);
  const subscribedEarly = new Set(state.subscribedEarly);
  subscribedEarly.delete(info.sid);
  return unchanged(withLocalTrack({ ...state, subscribedEarly }, { info, announced: false, subscribed }));
}

export function announceLocal(state: RoomState, trackSid: string): Step {
  const track = state.localTracks.get(trackSid);
  if (!track || track.announced) return unchanged(state);
  const events: StateEvent[] = [{ type: 'localTrackPublished', trackSid }];
  if (track.subscribed) events.push({ type: 'localTrackSubscribed', trackSid });
  return { state: withLocalTrack(state, { ...track, announced: true }), events };
}

/** Somebody subscribed to a track of ours: perhaps before its media is up, and so before it counts as published. */
export function localSubscribed(state: RoomState, trackSid: string): Step {
  const track = state.localTracks.get(trackSid);
  if (!track) {
    return unchanged({ ...state, subscribedEarly: new Set(state.subscribedEarly).add(trackSid) });
  }
  // Told again after a resume.
  if (track.subscribed) return unchanged(state);
  return {
    state: withLocalTrack(state, { ...track, subscribed: true }),
    events: track.announced ? [{ type: 'localTrackSubscribed', trackSid }] : [],
  };
}

/** A new session has the track under another sid; it is the same publication to programs. */
export function republishLocal(state: RoomState, previousSid: string, message: TrackMessage): Step {
  const previous = state.localTracks.get(previousSid);
  const without = { ...state, localTracks: withoutKey(state.localTracks, previousSid) };
  const { state: added } = addLocal(without, message);
  if (!previous?.announced) return unchanged(added);
  const track = { ...added.localTracks.get(message.sid)!, announced: true };
  const events: StateEvent[] = [{ type: 'localTrackRepublished', previousSid, publicationSid: message.sid }];
  if (track.subscribed) events.push({ type: 'localTrackSubscribed', trackSid: message.sid });
  return { state: withLocalTrack(added, track), events };
}

export function removeLocal(state: RoomState, sid: string): Step {
  const track = state.localTracks.get(sid);
  if (!track) return unchanged(state);
  // One that was taken back at once is announced first: every end has a beginning.
  const announced = announceLocal(state, sid);
  return {
    state: { ...announced.state, localTracks: withoutKey(state.localTracks, sid) },
    events: [...announced.events, { type: 'localTrackUnpublished', publicationSid: sid }],
  };
}

function withLocalTrack(state: RoomState, track: LocalTrackState): RoomState {
  return { ...state, localTracks: new Map(state.localTracks).set(track.info.sid, track) };
}

function updateTrack(state: RoomState, identity: string, message: TrackMessage): Step {
  const remote = state.remotes.get(identity);
  if (!remote) return unchanged(state);
  const info = toPublicationInfo(message);
  const known = remote.tracks.get(info.sid);
  if (!known) {
    const step: Step = {
      state: withTrack(state, remote, { info, receiving: false, allowed: true }),
      events: [{ type: 'trackPublished', participantIdentity: identity, publicationSid: info.sid }],
    };
    return andThen(step, (before) => claimMedia(before, info.sid));
  }
  return {
    state: withTrack(state, remote, { ...known, info }),
    events:
      known.info.muted === info.muted
        ? []
        : [
            {
              type: info.muted ? 'trackMuted' : 'trackUnmuted',
              participantIdentity: identity,
              trackSid: info.sid,
            },
          ],
  };
}

function claimMedia(state: RoomState, trackSid: string): Step {
  const participantSid = state.unclaimedMedia.get(trackSid);
  if (participantSid === undefined) return unchanged(state);
  const rest = { ...state, unclaimedMedia: withoutKey(state.unclaimedMedia, trackSid) };
  return mediaArrived(rest, participantSid, trackSid);
}

function withTrack(state: RoomState, remote: RemoteParticipantState, track: RemoteTrackState): RoomState {
  const { identity } = remote.info;
  const { sid } = track.info;
  const changed = withRemote(state, { ...remote, tracks: remote.tracks.with(sid, track) });
  if (state.publishers.get(sid) === identity) return changed;
  return { ...changed, publishers: changed.publishers.with(sid, identity) };
}

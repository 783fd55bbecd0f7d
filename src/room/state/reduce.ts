import {
  type DisconnectReason,
  type JoinResponse,
  ParticipantInfo as ParticipantMessage,
  type SignalResponse,
  SubscriptionError,
  type TrackInfo,
} from '@livekit/protocol';
import { createLogger } from '../../logging/index.js';
import { removeAbsent, replaceParticipants, updateParticipants } from './participants.js';
import { publisherOf, type RoomState } from './room-state.js';
import { moveRoom, updateQuality, updateRoom, updateSpeakers } from './room-updates.js';
import { andThen, type Step, unchanged } from './step.js';
import {
  addLocal,
  announceLocal,
  localSubscribed,
  mediaArrived,
  mediaEnded,
  mediaUnclaimed,
  removeLocal,
  republishLocal,
  setAllowed,
  setLocalMuted,
} from './tracks.js';
import { toParticipantInfo, toRoomInfo } from './translate.js';
import { VersionedMap } from './versioned-map.js';

const log = createLogger('room/state');

/** What happens to a room: the server's messages, and our own acts once the server has agreed to them. */
export type StateInput =
  | { type: 'message'; message: SignalResponse['message'] }
  /** A new session took the place of the one that was lost. */
  | { type: 'rejoined'; response: JoinResponse }
  | { type: 'resuming' }
  | { type: 'resumed' }
  | { type: 'reconnecting' }
  | { type: 'reconnected' }
  | { type: 'disconnected'; reason: DisconnectReason; message: string }
  | { type: 'mediaArrived'; participantSid: string; trackSid: string }
  | { type: 'mediaEnded'; trackSid: string }
  | { type: 'mediaUnclaimed'; trackSid: string }
  | { type: 'localTrackAdded'; track: TrackInfo }
  /** The call that published the track has returned. */
  | { type: 'localTrackAnnounced'; sid: string }
  | { type: 'localTrackRepublished'; previousSid: string; track: TrackInfo }
  | { type: 'localTrackUnpublished'; sid: string }
  | { type: 'localTrackMuted'; sid: string; muted: boolean };

/** The state of a room that has just been joined. There are no events for who is there already. */
export function joinedState(response: JoinResponse): RoomState {
  const empty: RoomState = {
    coarse: 'connected',
    room: toRoomInfo(response.room),
    local: toParticipantInfo(response.participant ?? new ParticipantMessage()),
    localTracks: new Map(),
    remotes: new VersionedMap(),
    identities: new VersionedMap(),
    publishers: new VersionedMap(),
    subscribedEarly: new Set(),
    unclaimedMedia: new Map(),
    speakers: [],
    mentioned: undefined,
  };
  return updateParticipants(empty, response.otherParticipants).state;
}

/** Decides what an input changes, and the events of that, in order. */
export function reduce(state: RoomState, input: StateInput): Step {
  switch (input.type) {
    case 'message':
      return reduceMessage(state, input.message);
    case 'rejoined':
      return rejoin(state, input.response);
    case 'resuming':
      return interrupt({ ...state, mentioned: new VersionedMap() });
    case 'resumed':
      return resume(state);
    case 'reconnecting':
      return interrupt({
        ...state,
        mentioned: undefined,
        subscribedEarly: new Set(),
        unclaimedMedia: new Map(),
      });
    case 'reconnected':
      return restore(state);
    case 'disconnected':
      return disconnect(state, input.reason, input.message);
    case 'mediaArrived':
      return mediaArrived(state, input.participantSid, input.trackSid);
    case 'mediaEnded':
      return mediaEnded(state, input.trackSid);
    case 'mediaUnclaimed':
      return mediaUnclaimed(state, input.trackSid);
    case 'localTrackAdded':
      return addLocal(state, input.track);
    case 'localTrackAnnounced':
      return announceLocal(state, input.sid);
    case 'localTrackRepublished':
      return republishLocal(state, input.previousSid, input.track);
    case 'localTrackUnpublished':
      return removeLocal(state, input.sid);
    case 'localTrackMuted':
      return setLocalMuted(state, input.sid, input.muted);
  }
}

function reduceMessage(state: RoomState, message: SignalResponse['message']): Step {
  switch (message.case) {
    case 'update':
      return updateParticipants(state, message.value.participants);
    case 'roomUpdate':
      return updateRoom(state, message.value.room);
    case 'roomMoved':
      return moveRoom(state, message.value);
    case 'speakersChanged':
      return updateSpeakers(state, message.value.speakers);
    case 'connectionQuality':
      return updateQuality(state, message.value.updates);
    case 'refreshToken':
      return { state, events: [{ type: 'tokenRefreshed', token: message.value }] };
    case 'mute':
      return setLocalMuted(state, message.value.sid, message.value.muted);
    case 'subscriptionPermissionUpdate':
      return setAllowed(state, message.value.trackSid, message.value.allowed);
    case 'subscriptionResponse':
      return subscriptionFailed(state, message.value.trackSid, message.value.err);
    case 'trackSubscribed':
      return localSubscribed(state, message.value.trackSid);
    default:
      return unchanged(state);
  }
}

function subscriptionFailed(state: RoomState, trackSid: string, error: SubscriptionError): Step {
  const participantIdentity = publisherOf(state, trackSid)?.info.identity;
  if (participantIdentity === undefined) {
    const subject = { room: state.room.name, identity: state.local.identity };
    log.about(subject).warn(`the server refused a subscription to ${trackSid}, which nobody publishes`);
    return unchanged(state);
  }
  const reason = SubscriptionError[error] ?? 'SE_UNKNOWN';
  return {
    state,
    events: [{ type: 'trackSubscriptionFailed', participantIdentity, trackSid, error: reason }],
  };
}

function interrupt(state: RoomState): Step {
  if (state.coarse !== 'connected') return unchanged(state);
  return {
    state: { ...state, coarse: 'reconnecting' },
    events: [{ type: 'connectionStateChanged', state: 'reconnecting' }, { type: 'reconnecting' }],
  };
}

function restore(state: RoomState): Step {
  if (state.coarse !== 'reconnecting') return unchanged(state);
  return {
    state: { ...state, coarse: 'connected' },
    events: [{ type: 'connectionStateChanged', state: 'connected' }, { type: 'reconnected' }],
  };
}

function resume(state: RoomState): Step {
  const { mentioned } = state;
  const rest: RoomState = { ...state, mentioned: undefined };
  // A server that mentioned nobody at all sent no list: it says nothing of who left.
  const reconciled = mentioned && mentioned.size > 0 ? removeAbsent(rest, mentioned) : unchanged(rest);
  return andThen(reconciled, restore);
}

function rejoin(state: RoomState, response: JoinResponse): Step {
  const { participant, otherParticipants, room } = response;
  const step = participant ? updateParticipants(state, [participant]) : unchanged(state);
  return andThen(
    andThen(step, (before) => replaceParticipants(before, otherParticipants)),
    (before) => updateRoom(before, room),
  );
}

function disconnect(state: RoomState, reason: DisconnectReason, message: string): Step {
  if (state.coarse === 'disconnected') return unchanged(state);
  return {
    state: { ...state, coarse: 'disconnected' },
    events: [
      { type: 'connectionStateChanged', state: 'disconnected' },
      { type: 'disconnected', reason, message },
    ],
  };
}

import type {
  ConnectionQualityInfo,
  Room as RoomMessage,
  RoomMovedResponse,
  SpeakerInfo,
} from '@livekit/protocol';
import type { StateEvent } from '../events.js';
import type { RoomInfo, Speaker } from '../info.js';
import { participantChanges, replaceParticipants } from './participants.js';
import { identityBySid, type RoomState } from './room-state.js';
import { andThen, type Step, unchanged } from './step.js';
import { toParticipantInfo, toRoomInfo } from './translate.js';

export function updateRoom(state: RoomState, message: RoomMessage | undefined): Step {
  if (!message) return unchanged(state);
  const before = state.room;
  const update = toRoomInfo(message);
  // A room that is not yet on its way through the server's database has no sid: what is known stays.
  const room = { ...update, sid: update.sid || before.sid };
  const events: StateEvent[] = [];
  if (room.sid !== before.sid) events.push({ type: 'roomSidChanged', sid: room.sid });
  if (room.metadata !== before.metadata) {
    events.push({ type: 'roomMetadataChanged', metadata: room.metadata });
  }
  if (!sameRoom(before, room)) events.push({ type: 'roomUpdated', room });
  return { state: { ...state, room }, events };
}

/** The server moved us to another room: same connection, other participants. */
export function moveRoom(state: RoomState, moved: RoomMovedResponse): Step {
  const local = moved.participant ? toParticipantInfo(moved.participant) : state.local;
  const token: Step = {
    state: { ...state, local },
    events: [{ type: 'tokenRefreshed', token: moved.token }],
  };
  const moving: Step = {
    state: token.state,
    events: [
      ...token.events,
      ...participantChanges(state.local, local),
      { type: 'participantsUpdated', participantIdentities: [local.identity] },
    ],
  };
  const others = andThen(moving, (before) => replaceParticipants(before, moved.otherParticipants));
  const room = andThen(others, (before) => updateRoom(before, moved.room));
  return { state: room.state, events: [...room.events, { type: 'moved', room: room.state.room }] };
}

/** The server tells whose speaking changed only; the event tells everybody who speaks. */
export function updateSpeakers(state: RoomState, changed: readonly SpeakerInfo[]): Step {
  const speakers = new Map(state.speakers.map((speaker) => [speaker.participantIdentity, speaker]));
  for (const { sid, level, active } of changed) {
    const participantIdentity = identityBySid(state, sid);
    if (participantIdentity === undefined) continue;
    if (active) speakers.set(participantIdentity, { participantIdentity, level });
    else speakers.delete(participantIdentity);
  }
  const sorted: Speaker[] = [...speakers.values()].sort((a, b) => b.level - a.level);
  return {
    state: { ...state, speakers: sorted },
    events: [{ type: 'activeSpeakersChanged', speakers: sorted }],
  };
}

export function updateQuality(state: RoomState, updates: readonly ConnectionQualityInfo[]): Step {
  const events: StateEvent[] = [];
  for (const { participantSid, quality } of updates) {
    const participantIdentity = identityBySid(state, participantSid);
    if (participantIdentity === undefined) continue;
    events.push({ type: 'connectionQualityChanged', participantIdentity, quality });
  }
  return { state, events };
}

function sameRoom(before: RoomInfo, after: RoomInfo): boolean {
  const keys: (keyof RoomInfo)[] = [
    'name',
    'metadata',
    'emptyTimeoutSeconds',
    'departureTimeoutSeconds',
    'maxParticipants',
    'numParticipants',
    'numPublishers',
    'activeRecording',
  ];
  return keys.every((key) => before[key] === after[key]);
}

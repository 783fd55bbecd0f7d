import { ParticipantInfo_State, type ParticipantInfo as ParticipantMessage } from '@livekit/protocol';
import type { StateEvent } from '../events.js';
import type { ParticipantInfo } from '../info.js';
import { type RemoteParticipantState, type RoomState, remoteBySid } from './room-state.js';
import { andThen, forEach, type Step, unchanged, withoutRemote, withRemote } from './step.js';
import { removeTrack, updateLocalTracks, updateTracks } from './tracks.js';
import { toParticipantInfo } from './translate.js';
import { VersionedMap } from './versioned-map.js';

/** Takes the server's word on some participants: who came, changed, published, and left. */
export function updateParticipants(state: RoomState, updates: readonly ParticipantMessage[]): Step {
  const updated: string[] = [];
  const step = forEach(state, updates, (before, update) => {
    const seen = mention(before, update.identity);
    if (update.sid === before.local.sid || update.identity === before.local.identity) {
      updated.push(before.local.identity);
      return updateLocal(seen, update);
    }
    if (before.remotes.has(update.identity) && isSameSession(before, update) && !hasLeft(update)) {
      updated.push(update.identity);
    }
    return updateRemote(seen, update);
  });
  if (updated.length === 0) return step;
  return {
    state: step.state,
    events: [...step.events, { type: 'participantsUpdated', participantIdentities: updated }],
  };
}

/** Takes the server's list of everybody else in the room: whoever is not in it has left. */
export function replaceParticipants(state: RoomState, others: readonly ParticipantMessage[]): Step {
  const present = new Set(others.filter((other) => !hasLeft(other)).map(({ identity }) => identity));
  return andThen(removeAbsent(state, present), (before) => updateParticipants(before, others));
}

export function removeAbsent(state: RoomState, present: Pick<ReadonlySet<string>, 'has'>): Step {
  const absent = [...state.remotes.keys()].filter((identity) => !present.has(identity));
  return forEach(state, absent, (before, identity) => removeRemote(before, before.remotes.get(identity)!));
}

/** What changed of a participant's own properties, in the order of the events. */
export function participantChanges(before: ParticipantInfo, after: ParticipantInfo): StateEvent[] {
  const events: StateEvent[] = [];
  const participantIdentity = after.identity;
  if (before.name !== after.name) {
    events.push({ type: 'participantNameChanged', participantIdentity, name: after.name });
  }
  if (before.metadata !== after.metadata) {
    events.push({ type: 'participantMetadataChanged', participantIdentity, metadata: after.metadata });
  }
  const changedAttributes = changedEntries(before.attributes, after.attributes);
  if (Object.keys(changedAttributes).length > 0) {
    const { attributes } = after;
    events.push({
      type: 'participantAttributesChanged',
      participantIdentity,
      attributes,
      changedAttributes,
    });
  }
  if (!samePermission(before, after)) {
    const { permission } = after;
    events.push({ type: 'participantPermissionChanged', participantIdentity, permission });
  }
  return events;
}

/** Whether our identity belongs to a later session than ours, as the server lists participants. */
export function isReplaced(local: ParticipantInfo, updates: readonly ParticipantMessage[]): boolean {
  return updates.some(
    (update) =>
      update.identity === local.identity &&
      update.sid !== local.sid &&
      !hasLeft(update) &&
      toParticipantInfo(update).joinedAtMs > local.joinedAtMs,
  );
}

function updateLocal(state: RoomState, update: ParticipantMessage): Step {
  const local = toParticipantInfo(update);
  const step: Step = { state: { ...state, local }, events: participantChanges(state.local, local) };
  return andThen(step, (before) => updateLocalTracks(before, update.tracks));
}

function updateRemote(state: RoomState, update: ParticipantMessage): Step {
  const known = state.remotes.get(update.identity);
  if (known && !isSameSession(state, update)) {
    // An update of a session that was replaced by the one we know says nothing new.
    if (hasLeft(update) || isOlder(update, known)) return unchanged(state);
    return andThen(removeRemote(state, known), (before) => updateRemote(before, update));
  }
  if (hasLeft(update)) {
    if (!known) return unchanged(state);
    return removeRemote(state, { ...known, info: toParticipantInfo(update) });
  }
  return known ? changeRemote(state, known, update) : addRemote(state, update);
}

function addRemote(state: RoomState, update: ParticipantMessage): Step {
  const info = toParticipantInfo(update);
  const participantIdentity = info.identity;
  const events: StateEvent[] = [{ type: 'participantConnected', participantIdentity }];
  if (isActive(info)) events.push({ type: 'participantActive', participantIdentity });
  const step: Step = { state: withRemote(state, { info, tracks: new VersionedMap() }), events };
  return andThen(step, (before) => updateTracks(before, participantIdentity, update.tracks));
}

function changeRemote(state: RoomState, known: RemoteParticipantState, update: ParticipantMessage): Step {
  const info = toParticipantInfo(update);
  const participantIdentity = info.identity;
  const changed: Step = {
    state: withRemote(state, { ...known, info }),
    events: participantChanges(known.info, info),
  };
  const step = andThen(changed, (before) => updateTracks(before, participantIdentity, update.tracks));
  if (isActive(known.info) || !isActive(info)) return step;
  return { state: step.state, events: [...step.events, { type: 'participantActive', participantIdentity }] };
}

function removeRemote(state: RoomState, leaving: RemoteParticipantState): Step {
  const { identity } = leaving.info;
  const step = forEach(withRemote(state, leaving), [...leaving.tracks.keys()], (before, sid) =>
    removeTrack(before, identity, sid),
  );
  const { disconnectReason: reason } = leaving.info;
  return {
    state: {
      ...withoutRemote(step.state, leaving),
      speakers: step.state.speakers.filter((speaker) => speaker.participantIdentity !== identity),
    },
    events: [...step.events, { type: 'participantDisconnected', participantIdentity: identity, reason }],
  };
}

function mention(state: RoomState, identity: string): RoomState {
  return state.mentioned ? { ...state, mentioned: state.mentioned.with(identity, true) } : state;
}

function isSameSession(state: RoomState, update: ParticipantMessage): boolean {
  return remoteBySid(state, update.sid)?.info.identity === update.identity;
}

function isOlder(update: ParticipantMessage, known: RemoteParticipantState): boolean {
  return toParticipantInfo(update).joinedAtMs < known.info.joinedAtMs;
}

function hasLeft(update: ParticipantMessage): boolean {
  return update.state === ParticipantInfo_State.DISCONNECTED;
}

function isActive(info: ParticipantInfo): boolean {
  return info.state === ParticipantInfo_State.ACTIVE;
}

function changedEntries(
  before: Readonly<Record<string, string>>,
  after: Readonly<Record<string, string>>,
): Record<string, string> {
  const changed: Record<string, string> = {};
  for (const [key, value] of Object.entries(after)) if (before[key] !== value) changed[key] = value;
  for (const key of Object.keys(before)) if (after[key] === undefined) changed[key] = '';
  return changed;
}

function samePermission(before: ParticipantInfo, after: ParticipantInfo): boolean {
  if (!before.permission || !after.permission) return before.permission === after.permission;
  return before.permission.equals(after.permission);
}

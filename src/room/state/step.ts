import type { StateEvent } from '../events.js';
import type { RemoteParticipantState, RoomState } from './room-state.js';

/** A state, and the events that led to it. */
export interface Step {
  state: RoomState;
  events: readonly StateEvent[];
}

/** Goes on from `step` with what `next` makes of its state. */
export function andThen(step: Step, next: (state: RoomState) => Step): Step {
  const { state, events } = next(step.state);
  return { state, events: [...step.events, ...events] };
}

/** Applies `next` for each item in turn. */
export function forEach<Item>(
  state: RoomState,
  items: Iterable<Item>,
  next: (state: RoomState, item: Item) => Step,
): Step {
  const events: StateEvent[] = [];
  let current = state;
  for (const item of items) {
    const step = next(current, item);
    current = step.state;
    for (const event of step.events) events.push(event);
  }
  return { state: current, events };
}

export function unchanged(state: RoomState): Step {
  return { state, events: [] };
}

/** Adds a remote participant or replaces what is known of it. Its tracks are those that were added and removed. */
export function withRemote(state: RoomState, remote: RemoteParticipantState): RoomState {
  const { identity, sid } = remote.info;
  const before = state.remotes.get(identity)?.info.sid;
  let { identities } = state;
  if (before !== sid) {
    if (before !== undefined) identities = identities.without(before);
    identities = identities.with(sid, identity);
  }
  return { ...state, remotes: state.remotes.with(identity, remote), identities };
}

export function withoutRemote(state: RoomState, { info }: RemoteParticipantState): RoomState {
  return {
    ...state,
    remotes: state.remotes.without(info.identity),
    identities: state.identities.without(info.sid),
  };
}

export function withoutKey<Key, Value>(map: ReadonlyMap<Key, Value>, key: Key): ReadonlyMap<Key, Value> {
  const rest = new Map(map);
  rest.delete(key);
  return rest;
}

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
  let step: Step = unchanged(state);
  for (const item of items) step = andThen(step, (before) => next(before, item));
  return step;
}

export function unchanged(state: RoomState): Step {
  return { state, events: [] };
}

export function withRemote(state: RoomState, remote: RemoteParticipantState): RoomState {
  return { ...state, remotes: new Map(state.remotes).set(remote.info.identity, remote) };
}

export function withoutKey<Key, Value>(map: ReadonlyMap<Key, Value>, key: Key): ReadonlyMap<Key, Value> {
  const rest = new Map(map);
  rest.delete(key);
  return rest;
}

import { readFileSync } from 'node:fs';
import { JoinResponse, SignalResponse } from '@livekit/protocol';
import type { StateEvent } from '../../src/room/index.js';
import { joinedState, reduce, type StateInput } from '../../src/room/state/reduce.js';
import type { RoomState } from '../../src/room/state/room-state.js';

interface Exchange {
  join: JoinResponse;
  messages: SignalResponse['message'][];
}

/** What livekit-server told a listener (fixtures/record.mjs says of what). */
export function recordedExchange(): Exchange {
  const json = JSON.parse(readFileSync(new URL('fixtures/exchange.json', import.meta.url), 'utf8'));
  return {
    join: JoinResponse.fromJson(json.join),
    messages: json.messages.map((message: never) => SignalResponse.fromJson(message).message),
  };
}

/** Reduces inputs one after another, and collects what they tell. */
export class Play {
  state: RoomState;
  readonly events: StateEvent[] = [];

  constructor(join: JoinResponse) {
    this.state = joinedState(join);
  }

  take(input: StateInput): StateEvent[] {
    const { state, events } = reduce(this.state, input);
    this.state = state;
    this.events.push(...events);
    return [...events];
  }

  message(message: SignalResponse['message']): StateEvent[] {
    return this.take({ type: 'message', message });
  }
}

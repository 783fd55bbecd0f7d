import { readFileSync } from 'node:fs';
import { JoinResponse, SignalResponse } from '@livekit/protocol';
import { toFfiParticipant } from '../../dist/ffi/conversion/participant.js';
import { toFfiPublication } from '../../dist/ffi/conversion/track.js';
import { translateRoomEvent } from '../../dist/ffi/objects/room-events.js';
import { encodeEvent } from '../../dist/ffi/outbox.js';
import { RoomObjects } from '../../dist/room/objects.js';
import { joinedState, reduce } from '../../dist/room/state/reduce.js';
import { join, mutateMessages, split, withoutMessages } from '../engine/messages.mjs';

const fixture = new URL('../../test/room/fixtures/exchange.json', import.meta.url);
const exchange = JSON.parse(readFileSync(fixture, 'utf8'));
const messages = exchange.messages.map((json) => SignalResponse.fromJson(json));
const joinResponse = JoinResponse.fromJson(exchange.join);

const handle = { id: 1n };
const owner = {
  ownParticipant: ({ info }) => ({ handle, info: toFfiParticipant(info) }),
  ownRemotePublication: ({ info }) => ({ handle, info: toFfiPublication(info, true) }),
  localPublicationHandle: () => 1n,
};
const media = { get: () => undefined, forget() {} };
const context = { handles: { add: () => 1 }, lendBuffer: () => ({ handle: 1, address: 1 }) };

function decode(bytes) {
  try {
    return SignalResponse.fromBinary(bytes).message;
  } catch {
    return { case: undefined };
  }
}

export default {
  about: "a server's messages, through the state of a room to a program's events",
  maxBytes: 4096,
  shorten: withoutMessages,
  mutate: (input, fuzzing) => mutateMessages(input, SignalResponse, fuzzing),
  seeds: () => [
    join(messages.map((message) => message.toBinary())),
    ...messages.map((message) => join([message.toBinary()])),
    // Times that do not fit into what a program is told.
    join([
      new SignalResponse({
        message: { case: 'roomUpdate', value: { room: { creationTime: 2n ** 63n - 1n, name: 'late' } } },
      }).toBinary(),
    ]),
  ],
  run(input) {
    const inputs = split(input).map(decode);
    const first = inputs[0]?.case === 'join' ? inputs.shift().value : joinResponse;
    let state = joinedState(first);
    const objects = new RoomObjects({
      state,
      autoSubscribe: true,
      local: {},
      tracks: {},
      media,
      subject: {},
    });
    const take = (change) => {
      const step = reduce(state, change);
      state = step.state;
      objects.update(state);
      for (const event of step.events) {
        const resolved = objects.resolve(event);
        if (!resolved) continue;
        const translated = translateRoomEvent(resolved, owner, context);
        if (translated) encodeEvent({ case: 'roomEvent', value: { roomHandle: 1n, ...translated } });
        objects.after(resolved);
      }
    };
    for (const message of inputs) {
      if (message.case === 'join') take({ type: 'rejoined', response: message.value });
      else take({ type: 'message', message });
    }
    take({ type: 'resuming' });
    take({ type: 'resumed' });
    take({ type: 'disconnected', reason: 1, message: '' });
  },
};

import { describe, expect, it } from 'vitest';
import type { StateEvent } from '../../src/room/index.js';
import { Play, recordedExchange } from './recorded.js';

/** One word an event, with the part that tells it from others of its kind. */
function brief(event: StateEvent): string {
  switch (event.type) {
    case 'participantAttributesChanged':
      return `${event.type} ${JSON.stringify(event.changedAttributes)}`;
    case 'participantsUpdated':
      return `${event.type} ${event.participantIdentities.join(' ')}`;
    default:
      return 'participantIdentity' in event ? `${event.type} ${event.participantIdentity}` : event.type;
  }
}

describe('the state of a room that livekit-server tells of', () => {
  const { join, messages } = recordedExchange();

  it('begins with who is there, without events', () => {
    const { state, events } = new Play(join);
    expect(state.room.name).toBe('recorded');
    expect(state.local).toMatchObject({ identity: 'listener', name: 'Name of listener' });
    expect([...state.remotes.keys()]).toEqual(['early']);
    expect(events).toEqual([]);
  });

  it('tells what the others do, in order', () => {
    const play = new Play(join);
    for (const message of messages) play.message(message);
    const told = play.events.map(brief).filter((event) => !event.startsWith('participantsUpdated'));
    expect(told).toEqual([
      'participantConnected actor',
      'participantActive actor',
      'trackPublished actor',
      'trackMuted actor',
      'trackUnmuted actor',
      'participantNameChanged actor',
      'participantMetadataChanged actor',
      'participantAttributesChanged {"colour":"blue","shape":"round"}',
      // The server batches news of those who publish nothing.
      'participantActive early',
      'participantAttributesChanged {"colour":"red","shape":""}',
      'roomMetadataChanged',
      'roomUpdated',
      'participantPermissionChanged actor',
      // The actor's full reconnect: a new session of the same identity.
      'trackUnpublished actor',
      'participantDisconnected actor',
      'participantConnected actor',
      'participantActive actor',
      'trackPublished actor',
      'trackUnpublished actor',
      'participantDisconnected actor',
      'participantDisconnected early',
    ]);
    expect(play.state.remotes.size).toBe(0);
    expect(play.state.room.metadata).toBe('metadata of the room');
  });

  it('never changes a state that was handed out', () => {
    const play = new Play(join);
    const states = messages.map((message) => {
      play.message(message);
      return { state: play.state, copy: structuredCopy(play.state) };
    });
    for (const { state, copy } of states) expect(structuredCopy(state)).toEqual(copy);
  });
});

function structuredCopy(state: Play['state']): unknown {
  return JSON.parse(
    JSON.stringify(state, (_key, value) => {
      if (value instanceof Map || value instanceof Set) return [...value];
      return typeof value === 'bigint' ? String(value) : value;
    }),
  );
}

import {
  JoinResponse,
  ParticipantInfo,
  ParticipantInfo_State,
  ParticipantUpdate,
  RoomMovedResponse,
  SpeakerInfo,
  SpeakersChanged,
  SubscriptionPermissionUpdate,
  SubscriptionResponse,
  TrackInfo,
  TrackType,
} from '@livekit/protocol';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { StateEvent } from '../../src/room/index.js';
import type { StateInput } from '../../src/room/state/reduce.js';
import { Play } from './recorded.js';

interface Someone {
  identity: string;
  session?: number;
  tracks?: readonly string[];
  muted?: boolean;
  left?: boolean;
  joined?: boolean;
}

const sidOf = ({ identity, session = 0 }: Someone) => `PA_${identity}${session}`;

function participant(someone: Someone): ParticipantInfo {
  const { identity, session = 0, tracks = [], muted = false, left = false, joined = false } = someone;
  const { ACTIVE, DISCONNECTED, JOINED } = ParticipantInfo_State;
  return new ParticipantInfo({
    sid: sidOf(someone),
    identity,
    state: left ? DISCONNECTED : joined ? JOINED : ACTIVE,
    joinedAtMs: BigInt(1_000 + session),
    tracks: tracks.map((name) => new TrackInfo({ sid: `TR_${name}`, name, type: TrackType.AUDIO, muted })),
  });
}

const joinWith = (...others: Someone[]) =>
  new JoinResponse({
    participant: participant({ identity: 'me' }),
    otherParticipants: others.map(participant),
  });

const update = (...participants: Someone[]): StateInput => ({
  type: 'message',
  message: { case: 'update', value: new ParticipantUpdate({ participants: participants.map(participant) }) },
});

const arrived = (someone: Someone, track: string): StateInput => ({
  type: 'mediaArrived',
  participantSid: sidOf(someone),
  trackSid: `TR_${track}`,
});

const types = (events: readonly StateEvent[]) =>
  events.map(({ type }) => type).filter((type) => type !== 'participantsUpdated');

const ada: Someone = { identity: 'ada', tracks: ['voice'] };

describe('tracks', () => {
  it('are subscribed to when their media comes after their publication', () => {
    const play = new Play(joinWith(ada));
    expect(types(play.take(arrived(ada, 'voice')))).toEqual(['trackSubscribed']);
    expect(types(play.take(arrived(ada, 'voice')))).toEqual([]);
  });

  it('are subscribed to when their media comes before their publication', () => {
    const play = new Play(joinWith());
    expect(play.take(arrived(ada, 'voice'))).toEqual([]);
    expect(types(play.take(update(ada)))).toEqual([
      'participantConnected',
      'participantActive',
      'trackPublished',
      'trackSubscribed',
    ]);
  });

  it('fail when media comes and no publication does', () => {
    const play = new Play(joinWith({ identity: 'ada' }));
    play.take(arrived(ada, 'voice'));
    expect(play.take({ type: 'mediaUnclaimed', trackSid: 'TR_voice' })).toMatchObject([
      { type: 'trackSubscriptionFailed', participantIdentity: 'ada', trackSid: 'TR_voice' },
    ]);
  });

  it('of nobody who is known are kept to themselves', () => {
    const play = new Play(joinWith());
    play.take(arrived(ada, 'voice'));
    expect(play.take({ type: 'mediaUnclaimed', trackSid: 'TR_voice' })).toEqual([]);
    expect(play.take({ type: 'mediaEnded', trackSid: 'TR_unheard' })).toEqual([]);
  });

  it('end before their publication does, and both before their publisher', () => {
    const play = new Play(joinWith(ada));
    play.take(arrived(ada, 'voice'));
    expect(types(play.take(update({ ...ada, left: true })))).toEqual([
      'trackUnsubscribed',
      'trackUnpublished',
      'participantDisconnected',
    ]);
  });

  it('are muted and unmuted with their publication', () => {
    const play = new Play(joinWith(ada));
    expect(types(play.take(update({ ...ada, muted: true })))).toEqual(['trackMuted']);
    expect(types(play.take(update({ ...ada, muted: false })))).toEqual(['trackUnmuted']);
  });

  it('end when the publisher forbids them', () => {
    const play = new Play(joinWith(ada));
    play.take(arrived(ada, 'voice'));
    const value = new SubscriptionPermissionUpdate({ trackSid: 'TR_voice', allowed: false });
    const message = { case: 'subscriptionPermissionUpdate' as const, value };
    expect(types(play.message(message))).toEqual(['trackUnsubscribed']);
    expect(play.state.remotes.get('ada')?.tracks.get('TR_voice')?.allowed).toBe(false);
  });

  it('that the server cannot send are told as failed', () => {
    const play = new Play(joinWith(ada));
    const value = new SubscriptionResponse({ trackSid: 'TR_voice', err: 1 });
    expect(play.message({ case: 'subscriptionResponse', value })).toMatchObject([
      { type: 'trackSubscriptionFailed', error: 'SE_CODEC_UNSUPPORTED' },
    ]);
  });
});

describe('tracks of our own', () => {
  const track = new TrackInfo({ sid: 'TR_mine', name: 'mine' });
  const subscribed: StateInput = {
    type: 'message',
    message: { case: 'trackSubscribed', value: { trackSid: 'TR_mine' } as never },
  };

  it('are told of once the call that published them has returned, and who subscribed after that', () => {
    const play = new Play(joinWith());
    expect(play.take({ type: 'localTrackAdded', track })).toEqual([]);
    expect(play.take(subscribed)).toEqual([]);
    expect(types(play.take({ type: 'localTrackAnnounced', sid: 'TR_mine' }))).toEqual([
      'localTrackPublished',
      'localTrackSubscribed',
    ]);
  });

  it('stay the same publication when a new session knows them by another sid', () => {
    const play = new Play(joinWith());
    play.take({ type: 'localTrackAdded', track });
    play.take({ type: 'localTrackAnnounced', sid: 'TR_mine' });
    const again = new TrackInfo({ sid: 'TR_again', name: 'mine' });
    expect(play.take({ type: 'localTrackRepublished', previousSid: 'TR_mine', track: again })).toEqual([
      { type: 'localTrackRepublished', previousSid: 'TR_mine', publicationSid: 'TR_again' },
    ]);
    expect([...play.state.localTracks.keys()]).toEqual(['TR_again']);
  });

  it('that are unpublished before they were announced are announced first', () => {
    const play = new Play(joinWith());
    play.take({ type: 'localTrackAdded', track });
    const events = play.take({ type: 'localTrackUnpublished', sid: 'TR_mine' });
    expect(types(events)).toEqual(['localTrackPublished', 'localTrackUnpublished']);
    expect(play.take({ type: 'localTrackAnnounced', sid: 'TR_mine' })).toEqual([]);
  });
});

describe('a participant', () => {
  it('that joins is connected, and active when it is', () => {
    const play = new Play(joinWith());
    expect(types(play.take(update({ identity: 'ada', joined: true })))).toEqual(['participantConnected']);
    expect(types(play.take(update({ identity: 'ada' })))).toEqual(['participantActive']);
  });

  it('of another session takes the place of the one before', () => {
    const play = new Play(joinWith(ada));
    expect(types(play.take(update({ ...ada, session: 1, tracks: ['other'] })))).toEqual([
      'trackUnpublished',
      'participantDisconnected',
      'participantConnected',
      'participantActive',
      'trackPublished',
    ]);
  });

  it('is not brought back, nor sent away, by late news of the session before', () => {
    const play = new Play(joinWith({ ...ada, session: 1 }));
    expect(play.take(update({ ...ada, session: 0, left: true }))).toEqual([]);
    expect(play.take(update({ ...ada, session: 0 }))).toEqual([]);
    expect(play.state.remotes.get('ada')?.info.sid).toBe('PA_ada1');
  });

  it('that left and is not known changes nothing', () => {
    const play = new Play(joinWith());
    expect(play.take(update({ identity: 'ghost', left: true }))).toEqual([]);
  });
});

describe('speakers', () => {
  it('are everybody who speaks, the loudest first, though the server tells changes only', () => {
    const play = new Play(joinWith(ada, { identity: 'bob' }));
    const speakers = (...infos: { sid: string; level: number; active: boolean }[]) =>
      play.message({
        case: 'speakersChanged',
        value: new SpeakersChanged({ speakers: infos.map((info) => new SpeakerInfo(info)) }),
      });
    speakers({ sid: 'PA_ada0', level: 0.25, active: true });
    expect(
      speakers({ sid: 'PA_bob0', level: 0.5, active: true }, { sid: 'PA_ghost', level: 1, active: true }),
    ).toEqual([
      {
        type: 'activeSpeakersChanged',
        speakers: [
          { participantIdentity: 'bob', level: 0.5 },
          { participantIdentity: 'ada', level: 0.25 },
        ],
      },
    ]);
    expect(speakers({ sid: 'PA_bob0', level: 0, active: false })).toMatchObject([
      { speakers: [{ participantIdentity: 'ada' }] },
    ]);
  });
});

describe('a session that is resumed', () => {
  it('tells the loss, who left meanwhile, and the return', () => {
    const play = new Play(joinWith(ada, { identity: 'bob' }));
    play.take({ type: 'resuming' });
    play.take(update(ada, { identity: 'me' }));
    play.take({ type: 'resumed' });
    expect(types(play.events)).toEqual([
      'connectionStateChanged',
      'reconnecting',
      'participantDisconnected',
      'connectionStateChanged',
      'reconnected',
    ]);
    expect([...play.state.remotes.keys()]).toEqual(['ada']);
  });

  it('keeps everybody when the server sends no list', () => {
    const play = new Play(joinWith(ada));
    play.take({ type: 'resuming' });
    play.take({ type: 'resumed' });
    expect(play.state.remotes.size).toBe(1);
  });
});

describe('a new session', () => {
  it('leaves those who stayed as they are, tracks that are heard included', () => {
    const play = new Play(joinWith(ada));
    play.take(arrived(ada, 'voice'));
    play.take({ type: 'reconnecting' });
    play.take({ type: 'rejoined', response: joinWith(ada) });
    play.take(arrived(ada, 'voice'));
    play.take({ type: 'reconnected' });
    expect(types(play.events)).toEqual([
      'trackSubscribed',
      'connectionStateChanged',
      'reconnecting',
      'connectionStateChanged',
      'reconnected',
    ]);
  });

  it('tells who left, and then who came', () => {
    const play = new Play(joinWith(ada));
    play.take({ type: 'reconnecting' });
    const events = play.take({ type: 'rejoined', response: joinWith({ identity: 'bob' }) });
    expect(types(events)).toEqual([
      'trackUnpublished',
      'participantDisconnected',
      'participantConnected',
      'participantActive',
    ]);
  });
});

describe('a move to another room', () => {
  it('tells the new token, who was left behind, who is there, and the room', () => {
    const play = new Play(joinWith(ada));
    const value = new RoomMovedResponse({
      token: 'new token',
      room: { sid: 'RM_other', name: 'other' },
      participant: participant({ identity: 'me', session: 1 }),
      otherParticipants: [participant({ identity: 'bob' })],
    });
    expect(types(play.message({ case: 'roomMoved', value }))).toEqual([
      'tokenRefreshed',
      'trackUnpublished',
      'participantDisconnected',
      'participantConnected',
      'participantActive',
      'roomSidChanged',
      'roomUpdated',
      'moved',
    ]);
  });
});

describe('whatever the server says', () => {
  const someone = fc.record(
    {
      identity: fc.constantFrom('me', 'ada', 'bob'),
      session: fc.integer({ min: 0, max: 2 }),
      tracks: fc.subarray(['voice', 'music', 'screen']),
      muted: fc.boolean(),
      left: fc.boolean(),
      joined: fc.boolean(),
    },
    { requiredKeys: ['identity'] },
  );
  const input: fc.Arbitrary<StateInput> = fc.oneof(
    fc.array(someone, { maxLength: 3 }).map((people) => update(...people)),
    fc.tuple(someone, fc.constantFrom('voice', 'music')).map(([who, track]) => arrived(who, track)),
    fc
      .constantFrom('voice', 'music')
      .map((track) => ({ type: 'mediaEnded' as const, trackSid: `TR_${track}` })),
    fc
      .constantFrom('voice', 'music')
      .map((track) => ({ type: 'mediaUnclaimed' as const, trackSid: `TR_${track}` })),
    fc.constantFrom({ type: 'resuming' as const }, { type: 'resumed' as const }),
    fc.constantFrom({ type: 'reconnecting' as const }, { type: 'reconnected' as const }),
    fc
      .array(someone, { maxLength: 3 })
      .map((people) => ({ type: 'rejoined' as const, response: joinWith(...people) })),
  );

  it('programs see participants and tracks begin before they end, and end once', () => {
    fc.assert(
      fc.property(fc.array(input, { maxLength: 30 }), (inputs) => {
        const play = new Play(joinWith());
        const witness = new Witness();
        for (const step of inputs) play.take(step).forEach(witness.sees, witness);
        expect([...play.state.remotes.keys()].sort()).toEqual([...witness.participants].sort());
      }),
      { numRuns: 300 },
    );
  });
});

/** Checks that everything begins before it ends, and ends once. */
class Witness {
  readonly participants = new Set<string>();
  #published = new Set<string>();
  #subscribed = new Set<string>();

  sees(event: StateEvent): void {
    switch (event.type) {
      case 'participantConnected':
      case 'participantDisconnected':
        toggle(this.participants, event.participantIdentity, event.type === 'participantConnected');
        break;
      case 'trackPublished':
      case 'trackUnpublished':
        toggle(
          this.#published,
          `${event.participantIdentity} ${event.publicationSid}`,
          event.type === 'trackPublished',
        );
        break;
      case 'trackSubscribed':
      case 'trackUnsubscribed': {
        const key = `${event.participantIdentity} ${event.trackSid}`;
        expect(this.#published.has(key), `${key} is published`).toBe(true);
        toggle(this.#subscribed, key, event.type === 'trackSubscribed');
        break;
      }
      default:
    }
  }
}

function toggle(set: Set<string>, key: string, begins: boolean): void {
  expect(set.has(key), `${key} ${begins ? 'begins' : 'ends'}`).toBe(!begins);
  if (begins) set.add(key);
  else set.delete(key);
}

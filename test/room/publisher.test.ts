import {
  JoinResponse,
  RequestResponse,
  RequestResponse_Reason,
  type SessionDescription,
  type SignalRequest,
} from '@livekit/protocol';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { AudioSource } from '../../src/audio/index.js';
import { defaultDeadlinesMs } from '../../src/deadlines/index.js';
import type { Connection } from '../../src/room/connection/connection.js';
import { Requests } from '../../src/room/connection/requests.js';
import type { Session } from '../../src/room/connection/session.js';
import { Publisher } from '../../src/room/media/publisher.js';
import type { StateInput } from '../../src/room/state/reduce.js';
import { LocalAudioTrack } from '../../src/room/tracks/local-track.js';
import { LocalTracks } from '../../src/room/tracks/local-tracks.js';
import { Timeline } from '../../src/timeline/index.js';

let offers: SessionDescription[];
let failures: unknown[];
let publisher: Publisher;

beforeEach(() => {
  offers = [];
  failures = [];
  publisher = openPublisher();
});
afterEach(() => publisher.close());

function openPublisher(): Publisher {
  return new Publisher({
    timeline: new Timeline('publisher'),
    deadlines: defaultDeadlinesMs,
    iceServers: [],
    iceTransportPolicy: 'all',
    send: (message) => {
      if (message.case === 'offer') offers.push(message.value);
    },
    onStateChange: () => {},
    onSilent: () => {},
    onFailure: (error) => failures.push(error),
    onTracks: () => {},
    onDataChannel: () => {},
    receives: false,
  });
}

/** A session of a server that refuses every track. */
function refusingSession(requests: Requests): Session {
  const send = (message: SignalRequest['message']) => {
    if (message.case !== 'addTrack') return;
    const request = { case: 'addTrack', value: message.value } as const;
    const reason = RequestResponse_Reason.NOT_ALLOWED;
    setImmediate(() => requests.handleResponse(new RequestResponse({ reason, request })));
  };
  const session = { publisher, join: new JoinResponse(), send, signal: new AbortController().signal };
  return session as unknown as Session;
}

test('the answer to an offer that a resume has superseded is no failure', async () => {
  publisher.negotiate();
  await new Promise(setImmediate);
  publisher.restart();
  const [before, now] = offers;
  publisher.handleAnswer('an answer to what is no longer offered', before!.id, {});
  expect(failures).toEqual([]);
  publisher.handleAnswer('an answer to what is offered', now!.id, {});
  expect(failures).toHaveLength(1);
});

describe('a track that a new session refuses', () => {
  test('leaves no section that sends behind, and is unpublished', async () => {
    const requests: Requests = new Requests({ whenConnected: async () => session }, 10_000);
    const inputs: StateInput[] = [];
    let session = acceptingSession(requests);
    const connection = {
      whenConnected: async () => session,
      get session() {
        return session;
      },
    };
    const tracks = new LocalTracks({
      connection: connection as unknown as Connection,
      requests,
      options: {},
      dispatch: (input) => inputs.push(input),
      random: Math.random,
      encryption: undefined,
      dataEncryption: undefined,
      state: () => undefined,
      emit: () => {},
      subject: {},
    });
    const source = new AudioSource({ sampleRate: 48_000, numChannels: 1, queueSizeMs: 100 });
    await tracks.publish(new LocalAudioTrack('voice', source), {});
    session = refusingSession(requests);
    await tracks.republish(session, new AbortController().signal);
    await new Promise(setImmediate);
    expect(inputs.at(-1)).toMatchObject({ type: 'localTrackUnpublished' });
    const audio = offers.at(-1)!.sdp.split('m=audio')[1];
    expect(audio).toContain('a=inactive');
    source.close();
  });
});

/** A session of a server that takes every track; nothing is sent over it. */
function acceptingSession(requests: Requests): Session {
  const codecs = [{ name: 'opus', payloadType: 111, clockRate: 48_000, channels: 2 }];
  const media = { mid: '1', ssrcs: [1], send: () => {}, close: () => {} };
  const section = { media, opened: Promise.resolve({ mid: '1', kind: 'audio', codecs, extensions: [] }) };
  const taken = { addTrack: () => section, removeTrack: () => {}, negotiate: () => {} };
  const send = (message: SignalRequest['message']) => {
    if (message.case !== 'addTrack') return;
    const { cid } = message.value;
    setImmediate(() => requests.handleTrackPublished({ cid, track: { sid: 'TR_1' } } as never));
  };
  const signal = new AbortController().signal;
  return { publisher: taken, join: new JoinResponse(), send, signal } as unknown as Session;
}

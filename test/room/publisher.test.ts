import {
  JoinResponse,
  RequestResponse,
  RequestResponse_Reason,
  type SessionDescription,
  type SignalRequest,
} from '@livekit/protocol';
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
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

describe('a track that a session refuses', () => {
  const isRefused = expect.objectContaining({ code: 'OFFHOOK_SERVER_REFUSED' });

  test('leaves no section that sends behind, and is unpublished, when it was published before', async () => {
    const { tracks, requests, inputs, use, voice } = openTracks();
    use(acceptingSession(requests));
    await tracks.publish(voice, {});
    const refusing = refusingSession(requests);
    use(refusing);
    await tracks.republish(refusing, new AbortController().signal);
    expect(inputs.at(-1)).toMatchObject({ type: 'localTrackUnpublished' });
    await expect.poll(lastAudioSection).toContain('a=inactive');
    expect(requests.waiting).toBe(0);
  });

  test('leaves no section and no request behind when it is new', async () => {
    const { tracks, requests, use, voice } = openTracks();
    use(refusingSession(requests));
    await expect(tracks.publish(voice, {})).rejects.toEqual(isRefused);
    expect(requests.waiting).toBe(0);
    await expect.poll(lastAudioSection).toContain('a=inactive');
  });
});

test('a track that is unpublished while a new session takes it is taken back there', async () => {
  const { tracks, requests, inputs, use, voice } = openTracks();
  use(acceptingSession(requests));
  const { info } = await tracks.publish(voice, {});
  const before = inputs.length;
  const next = acceptingSession(requests);
  const acts = actsOn(next);
  const republished = tracks.republish(next, new AbortController().signal);
  tracks.unpublish(info.sid);
  await republished;
  expect(inputs.slice(before)).toEqual([expect.objectContaining({ type: 'localTrackUnpublished' })]);
  expect(acts).toEqual(['addTrack', 'negotiate', 'removeTrack', 'negotiate']);
});

test('a section of a former session does not end the one that has its MID now', async () => {
  const before = openPublisher();
  onTestFinished(() => before.close());
  const media = { kind: 'audio', codecs: [opus], extensions: [], ssrcs: [1] } as const;
  const old = before.addTrack(media as never);
  const own = publisher.addTrack(media as never);
  expect(own.media.mid).toBe(old.media.mid);
  publisher.removeTrack(old);
  publisher.negotiate();
  await expect.poll(lastAudioSection).toContain('a=sendonly');
  publisher.removeTrack(own);
  publisher.restart();
  expect(lastAudioSection()).toContain('a=inactive');
  await expect(own.opened).rejects.toMatchObject({ code: 'OFFHOOK_CLOSED' });
});

const opus = { name: 'opus', payloadType: 111, clockRate: 48_000, channels: 2, feedback: [] };

/** What happens to the sections of a session from now on. */
function actsOn({ publisher: of }: Session): string[] {
  const acts: string[] = [];
  for (const act of ['addTrack', 'removeTrack', 'negotiate'] as const) {
    const original = of[act] as (...args: unknown[]) => never;
    of[act] = (...args: unknown[]) => {
      acts.push(act);
      return original(...args);
    };
  }
  return acts;
}

/** The last audio section that was offered; empty when none was. */
const lastAudioSection = () => offers.at(-1)?.sdp.split('m=audio')[1] ?? '';

/** The published tracks of a room, on the session that `use` was given last. */
function openTracks() {
  const inputs: StateInput[] = [];
  let session: Session;
  const connection = {
    whenConnected: async () => session,
    get session() {
      return session;
    },
  };
  const requests = new Requests(connection, 10_000);
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
  onTestFinished(() => source.close());
  const use = (next: Session) => {
    session = next;
  };
  return { tracks, requests, inputs, use, voice: new LocalAudioTrack('voice', source) };
}

/** A session of a server that takes every track; nothing is sent over it. */
function acceptingSession(requests: Requests): Session {
  const media = { mid: '1', ssrcs: [1], send: () => {}, close: () => {} };
  const section = {
    media,
    opened: Promise.resolve({ mid: '1', kind: 'audio', codecs: [opus], extensions: [] }),
  };
  const taken = { addTrack: () => section, removeTrack: () => {}, negotiate: () => {} };
  const send = (message: SignalRequest['message']) => {
    if (message.case !== 'addTrack') return;
    const { cid } = message.value;
    setImmediate(() => requests.handleTrackPublished({ cid, track: { sid: 'TR_1' } } as never));
  };
  const signal = new AbortController().signal;
  return { publisher: taken, join: new JoinResponse(), send, signal } as unknown as Session;
}

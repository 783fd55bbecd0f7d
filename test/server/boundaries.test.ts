import { UpdateParticipantMetadata } from '@livekit/protocol';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { setLogSink } from '../../src/logging/index.js';
import { Dispatcher } from '../../src/server/agents/dispatcher.js';
import { type RoomServer, startServer } from '../../src/server/index.js';
import { Participant } from '../../src/server/participant.js';
import { QualityObserver } from '../../src/server/quality-observer.js';
import { Room } from '../../src/server/room.js';
import { Publisher } from '../../src/server/sfu/publisher.js';
import { Subscriber } from '../../src/server/sfu/subscriber.js';
import { SpeakerObserver } from '../../src/server/speaker-observer.js';
import { startInterval, startTimeout } from '../../src/server/timers.js';
import { SignalPeer, signToken } from './signal-peer.js';

/** Any call of the method fails. Returns the mock, which counts them. */
function failing<Type extends object>(type: { prototype: Type }, method: keyof Type & string) {
  return vi.spyOn(type.prototype as Record<string, () => never>, method).mockImplementation(() => {
    throw new Error(`thrown by the test in ${method}`);
  });
}

describe('an exception in what one participant or one timer does', () => {
  let server: RoomServer;
  let logged: string[] = [];

  beforeAll(async () => {
    setLogSink(({ message }) => logged.push(message), 'error');
    server = await startServer({ port: 0, resumeWindowMs: 50, departureTimeoutS: 0.1 });
  });
  afterEach(() => {
    vi.restoreAllMocks();
    logged = [];
  });
  afterAll(() => server.close());

  const expectLogged = (what: RegExp) =>
    vi.waitFor(
      () =>
        expect(
          logged.some((line) => what.test(line)),
          logged.join('\n'),
        ).toBe(true),
      { timeout: 5_000 },
    );

  /** A newcomer can join and is announced to whoever is there. */
  async function expectRoomToWork(room: string, witness: SignalPeer): Promise<void> {
    await witness.settled();
    const next = await SignalPeer.join(server.url, room, 'next');
    await witness.until('update', ({ participants }) => participants[0]?.identity === 'next');
    next.close();
    witness.close();
  }

  test('while it joins leaves the room as it was', async () => {
    const witness = await SignalPeer.join(server.url, 'join', 'witness');
    const info = Participant.prototype.info;
    const failure = vi.spyOn(Participant.prototype, 'info').mockImplementation(function (this: Participant) {
      const message = info.call(this);
      if (this.identity === 'odd') message.clientProtocol = 2 ** 40;
      return message;
    });
    const odd = await SignalPeer.open(server.url, await signToken('odd', { roomJoin: true, room: 'join' }));
    await odd.closed;
    expect(failure).toHaveBeenCalled();
    failure.mockRestore();
    const next = await SignalPeer.join(server.url, 'join', 'late');
    expect(next.join?.otherParticipants.map(({ identity }) => identity)).toEqual(['witness']);
    next.close();
    await expectRoomToWork('join', witness);
  });

  test('does not take the place of the participant that had its identity', async () => {
    const ada = await SignalPeer.join(server.url, 'identity', 'ada');
    const failure = failing(Participant, 'info');
    const odd = await SignalPeer.open(
      server.url,
      await signToken('ada', { roomJoin: true, room: 'identity' }),
    );
    await odd.closed;
    failure.mockRestore();
    expect(ada.has('leave')).toBe(false);
    await expectRoomToWork('identity', ada);
  });

  test('in what others are told of it costs them the message only', async () => {
    const witness = await SignalPeer.join(server.url, 'update', 'witness');
    const odd = await SignalPeer.join(server.url, 'update', 'odd', { canUpdateOwnMetadata: true });
    const info = Participant.prototype.info;
    vi.spyOn(Participant.prototype, 'info').mockImplementation(function (this: Participant) {
      const message = info.call(this);
      if (this.identity === 'odd') message.clientProtocol = 2 ** 40;
      return message;
    });
    odd.send({ case: 'updateMetadata', value: new UpdateParticipantMetadata({ metadata: 'm' }) });
    await expectLogged(/participant witness: sending update failed/);
    vi.restoreAllMocks();
    odd.close();
    await expectRoomToWork('update', witness);
  });

  test.each([
    ['the report of a second', Publisher, 'report', /participant witness: report failed/],
    ['the rating of connections', QualityObserver, 'update', /reports of room .*timer failed/],
    ['the levels of speakers', SpeakerObserver, 'update', /speakers of room .*timer failed/],
  ] as const)('in a timer, for %s, does not end the timer', async (room, type, method, line) => {
    const witness = await SignalPeer.join(server.url, room, 'witness');
    const failure = failing(type as never, method as never);
    await expectLogged(line);
    const calls = failure.mock.calls.length;
    await vi.waitFor(() => expect(failure.mock.calls.length).toBeGreaterThan(calls), { timeout: 5_000 });
    failure.mockRestore();
    await expectRoomToWork(room, witness);
  });

  test('when it does not come back in time does not end the process', async () => {
    const witness = await SignalPeer.join(server.url, 'lost', 'witness');
    const odd = await SignalPeer.join(server.url, 'lost', 'odd');
    const failure = failing(Room, 'remove');
    odd.drop();
    await expectLogged(/participant odd: timer failed/);
    failure.mockRestore();
    await expectRoomToWork('lost', witness);
  });

  test('when a room is to close does not end the process', async () => {
    const odd = await SignalPeer.join(server.url, 'closing', 'odd');
    const failure = failing(Room, 'close');
    odd.send({ case: 'leave', value: {} as never });
    await expectLogged(/room closing: timer failed/);
    failure.mockRestore();
    const witness = await SignalPeer.join(server.url, 'closing', 'witness');
    await expectRoomToWork('closing', witness);
  });

  test.each([
    ['onOpened', 'opening'],
    ['onParticipantJoined', 'joining'],
    ['onParticipantLeft', 'leaving'],
    ['onTracksPublished', 'publishing'],
    ['onClosed', 'ending'],
  ] as const)('in the dispatch of agents (%s) lets the call go on', async (method, room) => {
    const failure = failing(Dispatcher, method);
    const odd = await SignalPeer.join(server.url, room, 'odd');
    await odd.publish({ cid: 'c' });
    odd.send({ case: 'leave', value: {} as never });
    await odd.closed;
    await vi.waitFor(() => expect(failure).toHaveBeenCalled());
    failure.mockRestore();
    const witness = await SignalPeer.join(server.url, room, 'witness');
    await expectRoomToWork(room, witness);
  });

  test('while a track is taken away from it reaches nobody else', async () => {
    const witness = await SignalPeer.join(server.url, 'tracks', 'witness');
    const odd = await SignalPeer.join(server.url, 'tracks', 'odd');
    await odd.publish({ cid: 'c' });
    await witness.until('update', ({ participants }) => participants[0]?.tracks.length === 1);
    const failure = failing(Subscriber, 'removeTrack');
    odd.send({ case: 'leave', value: {} as never });
    await witness.until('update', ({ participants }) => participants[0]?.state === 3);
    expect(failure).toHaveBeenCalled();
    failure.mockRestore();
    await expectRoomToWork('tracks', witness);
  });

  test('while it closes leaves nothing of it behind', async () => {
    const witness = await SignalPeer.join(server.url, 'close', 'witness');
    const odd = await SignalPeer.join(server.url, 'close', 'odd');
    const failure = failing(Publisher, 'close');
    odd.send({ case: 'leave', value: {} as never });
    await witness.until('update', ({ participants }) => participants[0]?.state === 3);
    await odd.closed;
    failure.mockRestore();
    await expectRoomToWork('close', witness);
  });
});

describe('a timer', () => {
  test('of more than 2^31 milliseconds does not fire at once', async () => {
    const fired = vi.fn();
    const timers = [2 ** 31, 2 ** 40, Number.MAX_VALUE, Number.POSITIVE_INFINITY, Number.NaN].map((delayMs) =>
      startTimeout('test', delayMs, fired),
    );
    await new Promise((resolve) => startTimeout('test', 50, () => resolve(undefined)));
    for (const timer of timers) timer.cancel();
    expect(fired).not.toHaveBeenCalled();
  });

  test('of more than 2^31 milliseconds fires when it is due', () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    try {
      const fired = vi.fn();
      const days = 24 * 3600 * 1000;
      startTimeout('test', 60 * days, fired);
      vi.advanceTimersByTime(59.9 * days);
      expect(fired).not.toHaveBeenCalled();
      vi.advanceTimersByTime(0.2 * days);
      expect(fired).toHaveBeenCalledOnce();
    } finally {
      vi.useRealTimers();
    }
  });

  test('of more than 2^31 milliseconds costs nothing until it is due', async () => {
    const set = vi.spyOn(globalThis, 'setTimeout');
    const calls = () => set.mock.calls.filter(([, delayMs]) => (delayMs ?? 0) > 1_000).length;
    const timer = startTimeout('test', 2 ** 32, () => {});
    await new Promise((resolve) => startTimeout('test', 20, () => resolve(undefined)));
    expect(calls()).toBe(1);
    timer.cancel();
    set.mockRestore();
  });

  test('that is restarted waits the whole time again', () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    try {
      const fired = vi.fn();
      const timer = startTimeout('test', 100, fired);
      vi.advanceTimersByTime(90);
      timer.restart();
      vi.advanceTimersByTime(90);
      expect(fired).not.toHaveBeenCalled();
      vi.advanceTimersByTime(20);
      expect(fired).toHaveBeenCalledOnce();
    } finally {
      vi.useRealTimers();
    }
  });

  test('whose act fails fires again, and the process goes on', async () => {
    let calls = 0;
    const timer = startInterval('test', 5, () => {
      calls++;
      throw new Error('thrown by the test');
    });
    await vi.waitFor(() => expect(calls).toBeGreaterThan(2));
    timer.cancel();
  });
});

import { SimulateScenario } from '@livekit/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RoomServer, startServer } from '../../src/server/index.js';
import { SignalPeer, signToken } from './signal-peer.js';

describe('a failure that a client asks for', () => {
  let server: RoomServer;

  beforeAll(async () => {
    server = await startServer({ port: 0 });
  });
  afterAll(() => server.close());

  async function play(
    room: string,
    scenario: SimulateScenario['scenario'],
  ): Promise<[SignalPeer, SignalPeer]> {
    const watcher = await SignalPeer.join(server.url, room, 'watcher');
    const ada = await SignalPeer.join(server.url, room, 'ada');
    ada.send({ case: 'simulate', value: new SimulateScenario({ scenario }) });
    return [ada, watcher];
  }

  test('a server that leaves says so', async () => {
    const [ada] = await play('leave', { case: 'serverLeave', value: true });
    expect(await ada.next('leave')).toMatchObject({ reason: 3, action: 0 });
    await ada.closed;
  });

  test('a failing node says nothing, and the others hear that the participant is gone', async () => {
    const [ada, watcher] = await play('fail', { case: 'nodeFailure', value: true });
    await ada.closed;
    await watcher.until('update', ({ participants }) => participants[0]?.state === 3);
  });

  test.each([
    ['migration', 1],
    ['leaveRequestFullReconnect', 2],
  ] as const)('%s asks for action %i', async (scenario, action) => {
    const [ada] = await play(scenario, { case: scenario, value: true });
    expect(await ada.next('leave')).toMatchObject({ action });
    await ada.closed;
  });

  test('a resume is cut off once', async () => {
    const [ada] = await play('resume', { case: 'disconnectSignalOnResume', value: true });
    ada.send({ case: 'ping', value: 1n });
    await ada.next('pong');
    ada.drop();
    const token = await signToken('ada', { roomJoin: true, room: 'resume' });
    const again = { reconnect: '1', sid: ada.join?.participant?.sid ?? '' };
    await (await SignalPeer.open(server.url, token, again)).closed;
    const second = await SignalPeer.open(server.url, token, again);
    await second.next('reconnect');
    second.close();
  });

  test('a speaker is told, loud and then silent', async () => {
    const [, watcher] = await play('speak', { case: 'speakerUpdate', value: 1 });
    expect((await watcher.next('speakersChanged')).speakers[0]).toMatchObject({ active: true });
    expect((await watcher.next('speakersChanged')).speakers[0]).toMatchObject({ active: false, level: 0 });
  });

  test('a speaker that asks again is silent once, after the time that it asked for last', async () => {
    const [ada, watcher] = await play('speak again', { case: 'speakerUpdate', value: 1 });
    const scenario = { case: 'speakerUpdate', value: 2 } as const;
    const askedMs = performance.now();
    ada.send({ case: 'simulate', value: new SimulateScenario({ scenario }) });
    const active = [];
    for (let i = 0; i < 3; i++) active.push((await watcher.next('speakersChanged')).speakers[0]?.active);
    expect(active).toEqual([true, true, false]);
    expect(performance.now() - askedMs).toBeGreaterThan(1_900);
  });
});

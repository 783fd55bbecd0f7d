import { afterAll, beforeAll, expect, test } from 'vitest';
import { type LogRecord, setLogSink } from '../../src/logging/index.js';
import { describeWith } from '../support/parts.js';
import { House } from './house.js';

/** Parts of the engine whose records are about one call. */
const callModules = /^(room|signal|transport|data|audio|video|filters)/;

describeWith(['livekit-server'], 'with several calls at once', () => {
  let house: House;
  const records: LogRecord[] = [];
  beforeAll(async () => {
    house = await House.open();
    setLogSink((record) => records.push(record));
  });
  afterAll(async () => {
    setLogSink(() => {});
    await house?.close();
  });

  test('every record names its room, who is in it, and the job of an agent', async () => {
    const guests = await Promise.all([
      house.join('kitchen', 'ada'),
      house.join('garden', 'agent-AJ_7'),
      house.join('kitchen', 'bob'),
    ]);
    await guests[0].room.localParticipant.publishAudio(house.tone(440));
    await guests[2].event('trackSubscribed');
    guests[0].room.simulate('signalReconnect');
    await guests[0].event('reconnected');
    await expect(house.join('attic', 'eve', { url: 'ws://127.0.0.1:1' })).rejects.toThrow();

    const ofCalls = records.filter(({ module }) => callModules.test(module));
    expect(ofCalls.filter(({ room, identity }) => !room || !identity)).toEqual([]);
    const modulesOf = (wanted: string) =>
      new Set(ofCalls.filter(({ identity }) => identity === wanted).map(({ module }) => module));
    expect(modulesOf('ada')).toContain('room/connection');
    expect(modulesOf('ada')).toContain('transport/ice');
    expect(ofCalls.filter(({ identity }) => identity === 'agent-AJ_7')).toSatisfy((own: LogRecord[]) =>
      own.every(({ room, job }) => room === 'garden' && job === 'AJ_7'),
    );
    expect(ofCalls.filter(({ identity }) => identity === 'eve')).not.toEqual([]);
  });
});

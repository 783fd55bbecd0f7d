import { SimulateScenarioKind } from '@livekit/rtc-ffi-bindings/proto/room_pb.js';
import { beforeAll, expect, test } from 'vitest';
import { describeWith } from '../support/parts.js';
import type { Program } from '../support/program.mjs';
import { House } from './house.js';

describeWith(['livekit-server', 'native engine'], 'a room that is interrupted', () => {
  const house = new House();
  let ours: Program;
  let native: Program;
  beforeAll(async () => {
    native = await house.join('native', 'native');
    ours = await house.join('offhook', 'ours');
    await ours.call('publishSilence');
    await native.waitFor('trackSubscribed', { identity: 'ours' });
  });

  test('resumes its session, and data goes on', async () => {
    await ours.call('simulate', { scenario: SimulateScenarioKind.SIMULATE_SIGNAL_RECONNECT });
    await ours.waitFor('reconnected');
    await ours.call('publishData', { content: 'after the resume' });
    await native.waitFor('data', { content: 'after the resume' });
  });

  test('begins a new session and publishes again, under the same publication', async () => {
    const { length } = ours.events;
    await ours.call('simulate', { scenario: SimulateScenarioKind.SIMULATE_FULL_RECONNECT });
    const { sid, previousSid } = await ours.waitFor('republished');
    expect(sid).not.toBe(previousSid);
    expect(await ours.call('publicationSid')).toBe(sid);
    await native.waitFor('trackSubscribed', { identity: 'ours', sid });
    expect(ours.events.slice(length).map(({ event }) => event)).toContain('reconnecting');
    await ours.call('publishData', { content: 'after the reconnect' });
    await native.waitFor('data', { content: 'after the reconnect' });
  });
});

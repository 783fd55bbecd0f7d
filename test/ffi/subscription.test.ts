import { beforeAll, expect, test } from 'vitest';
import { describeWith } from '../support/parts.js';
import type { Program } from '../support/program.mjs';
import { House } from './house.js';

describeWith(['livekit-server', 'native engine'], 'subscribing', () => {
  const house = new House();
  let ours: Program;
  beforeAll(async () => {
    const native = await house.join('native', 'native');
    await native.call('publishSilence');
    ours = await house.join('offhook', 'ours', { options: { autoSubscribe: false } });
  });

  test('waits for the program when it asked for that, and ends when it wishes', async () => {
    expect(await ours.call('members')).toEqual([{ identity: 'native', tracks: 1 }]);
    expect(ours.events.some(({ event }) => event === 'trackSubscribed')).toBe(false);
    await ours.call('setSubscribed', { identity: 'native', subscribed: true });
    await ours.waitFor('trackSubscribed', { identity: 'native' });
    await ours.call('setSubscribed', { identity: 'native', subscribed: false });
    await ours.waitFor('trackUnsubscribed', { identity: 'native' });
  });
});

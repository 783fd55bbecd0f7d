import { beforeAll, expect, test } from 'vitest';
import { describeWith } from '../support/parts.js';
import type { Program } from '../support/program.mjs';
import { House, sdks } from './house.js';

for (const { sdk, RTC_PACKAGE } of sdks) {
  describeWith(['livekit-server', 'native engine'], `a participant of ${sdk}`, () => {
    const house = new House();
    let ours: Program;
    let native: Program;
    beforeAll(async () => {
      native = await house.join('native', 'native');
      ours = await house.join('offhook', 'ours', { env: { RTC_PACKAGE } });
    });

    test('sees who is there already, and is seen', async () => {
      await native.waitFor('participantConnected', { identity: 'ours' });
      expect(await ours.call('members')).toEqual([{ identity: 'native', tracks: 0 }]);
    });

    test('changes its metadata, name and attributes, and sees those of others change', async () => {
      for (const [member, other, identity] of [
        [ours, native, 'ours'],
        [native, ours, 'native'],
      ] as const) {
        const changed = {
          metadata: `of ${identity}`,
          name: `Name of ${identity}`,
          attributes: { mood: 'good' },
        };
        void member.call('metadata', changed).catch(() => {});
        await other.waitFor('metadata', { metadata: changed.metadata, identity });
        await other.waitFor('name', { name: changed.name, identity });
        expect(await other.waitFor('attributes', { identity })).toMatchObject({ changed: { mood: 'good' } });
      }
    });

    test('gets an event when somebody leaves', async () => {
      const leaver = await house.join('native', 'leaver');
      await ours.waitFor('participantConnected', { identity: 'leaver' });
      await leaver.call('disconnect');
      await ours.waitFor('participantDisconnected', { identity: 'leaver' });
    });

    test('gets an event when it is removed', async () => {
      const again = await house.join('native', 'ours');
      expect(await ours.waitFor('disconnected')).toMatchObject({ reason: 2 });
      await again.call('disconnect');
    });
  });
}

import { beforeAll, expect, test } from 'vitest';
import { describeWith } from '../support/parts.js';
import type { Program } from '../support/program.mjs';
import { House, sdks } from './house.js';

for (const { sdk, RTC_PACKAGE } of sdks) {
  describeWith(['livekit-server', 'native engine'], `RPC of ${sdk}`, () => {
    const house = new House();
    let ours: Program;
    let native: Program;
    beforeAll(async () => {
      native = await house.join('native', 'native');
      ours = await house.join('offhook', 'ours', { env: { RTC_PACKAGE } });
      await native.waitFor('participantConnected', { identity: 'ours' });
      await Promise.all([ours, native].map((member) => member.call('answerRpc', { method: 'say' })));
    });

    const pairs = () =>
      [
        [ours, 'native', 'ours'],
        [native, 'ours', 'native'],
      ] as const;

    test('is answered by the other engine, both ways', async () => {
      for (const [caller, to, from] of pairs()) {
        expect(await caller.call('rpc', { to, method: 'say', payload: 'hello' })).toEqual({
          answer: `${from} said hello`,
        });
      }
    });

    test('brings back the error that the method threw', async () => {
      for (const [caller, to] of pairs()) {
        expect(await caller.call('rpc', { to, method: 'say', payload: 'fail' })).toEqual({
          code: 1234,
          message: 'as asked',
          data: 'with data',
        });
        expect(await caller.call('rpc', { to, method: 'say', payload: 'throw' })).toMatchObject({
          code: 1500,
        });
      }
    });

    test('to a method that is not there is refused, before and after it was', async () => {
      expect(await ours.call('rpc', { to: 'native', method: 'none', payload: '' })).toMatchObject({
        code: 1400,
      });
      await ours.call('answerRpc', { method: 'soon gone' });
      await ours.call('refuseRpc', { method: 'soon gone' });
      expect(await native.call('rpc', { to: 'ours', method: 'soon gone', payload: '' })).toMatchObject({
        code: 1400,
      });
    });

    test('carries payloads of any size, both ways, as streams', async () => {
      const payload = 'x'.repeat(100_000);
      for (const [caller, to, from] of pairs())
        expect(await caller.call('rpc', { to, method: 'say', payload })).toEqual({
          answer: `${from} said ${payload}`,
        });
    });
  });
}

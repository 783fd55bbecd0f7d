import { beforeAll, expect, test } from 'vitest';
import { describeWith } from '../support/parts.js';
import type { Program } from '../support/program.mjs';
import { House } from './house.js';

describeWith(['livekit-server', 'native engine'], 'data packets', () => {
  const house = new House();
  let ours: Program;
  let native: Program;
  beforeAll(async () => {
    [ours, native] = await Promise.all([house.join('offhook', 'ours'), house.join('native', 'native')]);
    await Promise.all([ours.waitFor('participantConnected').catch(() => {}), native.call('members')]);
  });

  const pairs = () =>
    [
      [ours, native, 'ours'],
      [native, ours, 'native'],
    ] as const;

  test('reach the other engine with topic and kind, both ways', async () => {
    for (const [sender, receiver, identity] of pairs()) {
      await sender.call('publishData', { content: `from ${identity}`, topic: 'news' });
      const data = await receiver.waitFor('data', { content: `from ${identity}` });
      expect(data).toMatchObject({ identity, topic: 'news', kind: 1 });
      await sender.call('publishData', { content: `lossy from ${identity}`, reliable: false });
      expect(await receiver.waitFor('data', { content: `lossy from ${identity}` })).toMatchObject({
        kind: 0,
      });
    }
  });

  test('of 15 kB arrive whole, both ways', async () => {
    for (const [sender, receiver, identity] of pairs()) {
      await sender.call('publishData', { content: 15_000 });
      await receiver.waitFor('data', { content: 15_000, identity });
    }
  });

  test('may be empty', async () => {
    await ours.call('publishData', { content: '' });
    await native.waitFor('data', { content: '' });
  });

  test('reach only whom they are for', async () => {
    await ours.call('publishData', { content: 'not for you', to: ['somebody else'] });
    await ours.call('publishData', { content: 'for you', to: ['native'] });
    await native.waitFor('data', { content: 'for you' });
    expect(native.events.some(({ content }) => content === 'not for you')).toBe(false);
  });

  test('carry DTMF, both ways', async () => {
    for (const [sender, receiver, identity] of pairs()) {
      await sender.call('dtmf', { code: 11, digit: '#' });
      expect(await receiver.waitFor('dtmf', { identity })).toMatchObject({ code: 11, digit: '#' });
    }
  });

  test('carry chat messages and their edits, both ways', async () => {
    for (const [sender, receiver, identity] of pairs()) {
      const sent = await sender.call('chat', { words: 'good day' });
      expect(sent).toEqual({ sent: 'good day', edited: 'good day!', sameId: true });
      await receiver.waitFor('chat', { message: 'good day', identity });
      await receiver.waitFor('chat', { message: 'good day!', identity });
    }
  });

  test('carry transcriptions', async () => {
    const { sid } = await ours.call<{ sid: string }>('publishSilence');
    await ours.call('transcription', { identity: 'ours', trackSid: sid, words: 'hello' });
  });
});

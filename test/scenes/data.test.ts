import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Engine, Program } from '../support/program.mjs';
import { describeOnServers } from './stage.js';

const pairs: [Engine, Engine][] = [
  ['offhook', 'native'],
  ['native', 'offhook'],
];

describeOnServers('data', (stage) => {
  describe.each(pairs)('from %s to %s', (first, second) => {
    let alice: Program;
    let bob: Program;

    beforeAll(async () => {
      const room = stage.newRoom();
      [alice, bob] = await Promise.all([stage.join(first, room, 'alice'), stage.join(second, room, 'bob')]);
      await alice.untilPresent('bob');
      await bob.untilPresent('alice');
    });
    afterAll(() => stage.clear());

    test('an RPC is answered', async () => {
      const { value } = await alice.call('rpc', { to: 'bob', payload: 'are you there? ☎' });
      expect(value).toBe('are you there? ☎');
    });

    test('an RPC that nobody handles fails with a reason', async () => {
      await expect(alice.call('rpc', { to: 'bob', method: 'unheard-of', payload: '' })).rejects.toThrow(
        /not supported/i,
      );
    });

    test('reliable packets arrive whole, in order, with sender and topic', async () => {
      await alice.call('rpc', { to: 'bob', payload: 'both channels are up' });
      for (const text of ['one', 'two', 'three']) await alice.call('publishData', { text, topic: 'numbers' });
      await bob.waitFor('dataReceived', { text: 'three', topic: 'numbers', identity: 'alice' });
      const heard = bob.events.filter(({ topic }) => topic === 'numbers').map(({ text }) => text);
      expect(heard).toEqual(['one', 'two', 'three']);
    });

    test('a text of many chunks arrives as it was sent', async () => {
      await bob.call('receiveText', { topic: 'story' });
      const text = 'The quick brown fox, 狐, jumps over the lazy dog. '.repeat(2_000);
      await alice.call('sendText', { text, topic: 'story' });
      const received = await bob.waitFor('text', { topic: 'story' });
      expect(received).toMatchObject({ identity: 'alice', text });
    });

    test('metadata and attributes reach the other end', async () => {
      await alice.call('setMetadata', { metadata: 'in a hurry' });
      await bob.waitFor('participantMetadataChanged', { identity: 'alice', metadata: 'in a hurry' });
      await alice.call('setAttributes', { attributes: { language: 'en' } });
      const change = await bob.waitFor('participantAttributesChanged', { identity: 'alice' });
      expect(change.changed).toEqual({ language: 'en' });
    });
  });
});

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../support/parts.js';
import type { Program } from '../support/program.mjs';
import { House } from './house.js';

describeWith(['livekit-server', 'native engine'], 'text and byte streams', () => {
  const house = new House();
  const folder = mkdtempSync(join(tmpdir(), 'offhook-streams-'));
  let ours: Program;
  let native: Program;
  beforeAll(async () => {
    native = await house.join('native', 'native');
    ours = await house.join('offhook', 'ours');
    await native.waitFor('participantConnected', { identity: 'ours' });
    await Promise.all([ours, native].map((member) => member.call('receiveStreams', { topic: 'files' })));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const pairs = () =>
    [
      [ours, native, 'ours'],
      [native, ours, 'native'],
    ] as const;

  test('carry a text with its attributes, both ways', async () => {
    for (const [sender, receiver, identity] of pairs()) {
      await sender.call('sendText', {
        topic: 'files',
        content: `text of ${identity}`,
        attributes: { mood: 'good' },
      });
      expect(await receiver.waitFor('text', { content: `text of ${identity}` })).toMatchObject({
        identity,
        attributes: { mood: 'good' },
      });
    }
  });

  test('carry a text of 100,000 letters of two bytes, both ways', async () => {
    for (const [sender, receiver, identity] of pairs()) {
      await sender.call('sendText', { topic: 'files', content: 100_000, attributes: { from: identity } });
      await receiver.waitFor('text', { content: 'ä'.repeat(100_000), identity });
    }
  });

  test('carry a text that is written piece by piece, both ways', async () => {
    for (const [sender, receiver, identity] of pairs()) {
      await sender.call('openText', { topic: 'files' });
      for (const content of ['one ', 'two ', 'three'])
        await sender.call('writeText', { topic: 'files', content });
      await sender.call('closeText', { topic: 'files' });
      await receiver.waitFor('text', { content: 'one two three', identity });
    }
  });

  test('carry a million bytes, both ways', async () => {
    for (const [sender, receiver, identity] of pairs()) {
      await sender.call('sendBytes', { topic: 'files', length: 1_000_000, name: 'ones' });
      expect(await receiver.waitFor('bytes', { identity, name: 'ones' })).toMatchObject({
        length: 1_000_000,
        sum: 1_000_000,
        mimeType: 'application/octet-stream',
      });
    }
  });

  test('carry a file', async () => {
    const path = join(folder, 'note.txt');
    writeFileSync(path, 'a note');
    await ours.call('sendFile', { topic: 'files', path, name: 'note.txt' });
    expect(await native.waitFor('bytes', { name: 'note.txt' })).toMatchObject({
      length: 6,
      mimeType: 'text/plain',
    });
    await expect(ours.call('sendFile', { topic: 'files', path: join(folder, 'none') })).rejects.toThrow(
      /none/,
    );
  });

  test('end with an error at the reader when their sender leaves', async () => {
    const leaver = await house.join('offhook', 'leaver');
    await ours.waitFor('participantConnected', { identity: 'leaver' });
    await leaver.call('openText', { topic: 'files' });
    await leaver.call('writeText', { topic: 'files', content: 'half of ' });
    await ours.waitFor('textOpened', { identity: 'leaver' });
    await leaver.call('disconnect');
    expect(await ours.waitFor('brokenText')).toBeDefined();
  });
});

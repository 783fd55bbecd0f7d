import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  type ByteStreamReader,
  IncomingStreams,
  OutgoingStreams,
  type PacketContent,
  type TextStreamReader,
} from '../../src/data/index.js';
import { Loop, receiveStreams } from './loop.js';

/** Sending and receiving side in one place. */
function connected() {
  const loop = new Loop();
  const incoming = new IncomingStreams();
  const { opened, take } = receiveStreams(incoming, 'alice');
  loop.onPacket = take;
  return { loop, incoming, opened, take, outgoing: new OutgoingStreams(loop) };
}

const incomplete = { code: 'OFFHOOK_PROTOCOL' };

describe('text streams', () => {
  it('bring any text whole', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'grapheme' }),
        fc.integer({ min: 1, max: 400 }),
        async (part, times) => {
          const { outgoing, opened } = connected();
          const text = part.repeat(times);
          await outgoing.sendText(text, { topic: 'chat' });
          expect(await (opened[0]!.reader as TextStreamReader).readAll()).toBe(text);
        },
      ),
      { numRuns: 40 },
    );
  });

  it('say their topic, attributes and length before their content', async () => {
    const { outgoing, opened } = connected();
    await outgoing.sendText('grüße', {
      topic: 'lk.chat',
      attributes: { lang: 'de' },
      replyToStreamId: 'first',
    });
    expect(opened[0]!.reader.info).toMatchObject({
      topic: 'lk.chat',
      mimeType: 'text/plain',
      attributes: { lang: 'de' },
      totalLength: 7,
      replyToStreamId: 'first',
    });
  });

  it('come piece by piece as they are written, with attributes at the end', async () => {
    const { outgoing, opened } = connected();
    const writer = await outgoing.openText({ topic: 'transcript' });
    const reader = opened[0]!.reader as TextStreamReader;
    await writer.write('one ');
    const pieces = reader[Symbol.asyncIterator]();
    expect(await pieces.next()).toMatchObject({ value: 'one ' });
    const second = pieces.next();
    await writer.write('two');
    expect(await second).toMatchObject({ value: 'two' });
    await writer.close({ attributes: { final: 'true' } });
    expect(await pieces.next()).toMatchObject({ done: true });
    expect(reader.attributes).toEqual({ final: 'true' });
    await expect(writer.write('three')).rejects.toMatchObject({ code: 'OFFHOOK_CLOSED' });
  });
});

describe('byte streams', () => {
  it('tell their progress', async () => {
    const { outgoing, opened } = connected();
    const writer = await outgoing.openBytes({ totalLength: 40_000, name: 'data.bin' });
    const reader = opened[0]!.reader as ByteStreamReader;
    expect(reader.progress).toBe(0);
    await writer.write(new Uint8Array(10_000).fill(7));
    expect(reader.progress).toBe(0.25);
    await writer.write(new Uint8Array(30_000).fill(8));
    await writer.close();
    expect(reader.progress).toBe(1);
    const bytes = await reader.readAll();
    expect(bytes.length).toBe(40_000);
    expect([bytes[9_999], bytes[10_000]]).toEqual([7, 8]);
  });

  it('carry a file with its name and size', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'offhook-file-'));
    try {
      const path = join(folder, 'notes.txt');
      await writeFile(path, 'x'.repeat(100_000));
      const { outgoing, opened } = connected();
      await outgoing.sendFile(path, { topic: 'files', mimeType: 'text/plain' });
      const { reader } = opened[0]!;
      expect(reader.info).toMatchObject({ name: 'notes.txt', totalLength: 100_000, mimeType: 'text/plain' });
      expect((await (reader as ByteStreamReader).readAll()).length).toBe(100_000);
      await expect(outgoing.sendFile(join(folder, 'absent'), {})).rejects.toMatchObject({
        code: 'OFFHOOK_INVALID_REQUEST',
      });
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('a stream that is not whole', () => {
  const half = async () => {
    const sides = connected();
    const writer = await sides.outgoing.openText({ topic: 't', streamId: 'S' });
    await writer.write('half');
    return { ...sides, writer, reader: sides.opened[0]!.reader as TextStreamReader };
  };

  it('fails when the sender gives up, with the reason', async () => {
    const { writer, reader } = await half();
    await writer.close({ reason: 'interrupted' });
    await expect(reader.readAll()).rejects.toMatchObject({
      ...incomplete,
      message: expect.stringContaining('interrupted'),
    });
  });

  it('fails when the sender leaves the room', async () => {
    const { incoming, reader } = await half();
    incoming.participantLeft('alice');
    await expect(reader.readAll()).rejects.toMatchObject(incomplete);
  });

  it('fails when a chunk is missing', async () => {
    const { outgoing, loop, opened, take } = connected();
    loop.onPacket = () => {};
    await outgoing.sendText('x'.repeat(40_000), {});
    for (const content of loop.sent) if (!isChunk(content, 1n)) take(content);
    await expect((opened[0]!.reader as TextStreamReader).readAll()).rejects.toMatchObject(incomplete);
  });

  it('fails when it has less than it announced', async () => {
    const { outgoing, opened } = connected();
    const writer = await outgoing.openBytes({ totalLength: 10 });
    await writer.write(new Uint8Array(4));
    await writer.close();
    await expect((opened[0]!.reader as ByteStreamReader).readAll()).rejects.toMatchObject(incomplete);
  });
});

describe('stream packets', () => {
  it('of chunks that come twice are taken once', async () => {
    const { outgoing, loop, opened, take } = connected();
    loop.onPacket = () => {};
    await outgoing.sendText('x'.repeat(40_000), {});
    for (const content of loop.sent) {
      take(content);
      if (content.case === 'streamChunk') take(content);
    }
    expect((await (opened[0]!.reader as TextStreamReader).readAll()).length).toBe(40_000);
  });

  it('of unknown streams are dropped', async () => {
    const { outgoing, loop, take } = connected();
    loop.onPacket = () => {};
    await outgoing.sendText('x', {});
    expect(() => {
      for (const content of loop.sent.slice(1)) take(content);
    }).not.toThrow();
  });

  it('of a cancelled stream are dropped', async () => {
    const { outgoing, opened } = connected();
    const writer = await outgoing.openText({});
    opened[0]!.reader.cancel();
    await writer.write('nobody reads this');
    expect(opened[0]!.reader.receivedBytes).toBe(0);
  });
});

function isChunk(content: PacketContent, index: bigint): boolean {
  return content.case === 'streamChunk' && content.value.chunkIndex === index;
}

import { afterAll, beforeAll, expect, test } from 'vitest';
import { startServer } from '../../src/server/index.js';
import { withoutTrailer } from '../../src/server/sfu/packet-trailer.js';
import { describeWith } from '../support/parts.js';
import { type Engine, type Program, startParticipant } from '../support/program.mjs';
import { makeToken } from '../support/token.mjs';

const trailerOf = (bytes: number) =>
  Buffer.concat([Buffer.alloc(bytes - 5, 7), Buffer.of(bytes ^ 0xff), Buffer.from('LKTS')]);

test('a trailer is taken off, and nothing that only looks like one', () => {
  const frame = Buffer.from('the end of a frame');
  for (const bytes of [5, 11, 255])
    expect(withoutTrailer(Buffer.concat([frame, trailerOf(bytes)])).equals(frame)).toBe(true);
  for (const other of [
    frame,
    Buffer.from('LKTS'),
    Buffer.concat([frame, Buffer.of(4 ^ 0xff), Buffer.from('LKTS')]),
    Buffer.concat([Buffer.of(200 ^ 0xff), Buffer.from('LKTS')]),
  ])
    expect(withoutTrailer(other).equals(other)).toBe(true);
});

describeWith(['python livekit', 'cc'], 'metadata of frames', () => {
  const programs: Program[] = [];
  let server: Awaited<ReturnType<typeof startServer>>;
  beforeAll(async () => {
    server = await startServer({ port: 0 });
  });
  afterAll(async () => {
    await Promise.all(programs.map((program) => program.stop()));
    await server?.close();
  });

  async function join(engine: Engine, identity: string): Promise<Program> {
    const program = startParticipant(engine, {}, 'python');
    programs.push(program);
    await program.waitFor('started', {}, 60_000);
    const keys = { url: server.url, apiKey: 'devkey', apiSecret: 'secret' };
    const token = await makeToken(keys, 'metadata', identity);
    await program.call('connect', { url: server.url, token, hearing: null }, 60_000);
    return program;
  }

  test('reaches those who know of it, and others see the pictures without', {
    timeout: 120_000,
  }, async () => {
    const publisher = await join('native', 'publisher');
    await publisher.call('publishWithMetadata', { everyMs: 50 });
    const native = await join('native', 'native');
    const frame = await native.waitFor('frameMetadata', { identity: 'publisher' }, 30_000);
    expect(frame.userTimestamp).toBe((frame.frameId as number) * 1_000);
    const ours = await join('offhook', 'ours');
    const picture = await ours.waitFor('firstPicture', { identity: 'publisher' }, 30_000);
    expect(Math.abs((picture.luma as number) - 144)).toBeLessThan(20);
  });
});

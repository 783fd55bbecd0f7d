import { afterAll, beforeAll, expect, test } from 'vitest';
import { startServer } from '../../src/server/index.js';
import { startLivekitServer } from '../support/livekit-server.mjs';
import { describeWith } from '../support/parts.js';
import { type Engine, type Program, startParticipant } from '../support/program.mjs';
import { makeToken } from '../support/token.mjs';

const servers = {
  'livekit-server': startLivekitServer,
  'the room server': async () => {
    const server = await startServer({ port: 0 });
    return { url: server.url, apiKey: 'devkey', apiSecret: 'secret', stop: () => server.close() };
  },
};
const waitMs = 30_000;
const testTimeoutMs = 180_000;
const needed = ['livekit-server', 'python livekit', 'cc'] as const;

for (const [serverName, start] of Object.entries(servers)) {
  for (const sharedKey of [undefined, 'the key']) {
    const what = sharedKey ? 'encrypted video' : 'video';
    describeWith([...needed], `metadata of frames of ${what} through ${serverName}`, () => {
      const programs: Program[] = [];
      let server: Awaited<ReturnType<typeof start>>;
      let native: Program;
      let ours: Program;

      async function join(engine: Engine): Promise<Program> {
        const program = startParticipant(engine, {}, 'python');
        programs.push(program);
        await program.waitFor('started', {}, waitMs);
        const token = await makeToken(server, 'metadata', engine);
        await program.call('connect', { url: server.url, token, hearing: null, sharedKey }, waitMs);
        return program;
      }

      beforeAll(async () => {
        server = await start();
        [native, ours] = await Promise.all([join('native'), join('offhook')]);
      }, testTimeoutMs);
      afterAll(async () => {
        await Promise.all(programs.map((program) => program.stop()));
        await server?.stop();
      });

      async function expectThrough(from: Program, identity: string, to: Program, codec: string) {
        const name = `${identity} ${codec}`;
        const { features } = await from.call<{ features: number[] }>(
          'publishWithMetadata',
          { everyMs: 50, codec, name },
          waitMs,
        );
        expect(features).toEqual([0, 1, 2]);
        const { frameId, userTimestamp, userData, luma } = await to.waitFor(
          'frameMetadata',
          { identity, name },
          waitMs,
        );
        expect(userTimestamp).toBe((frameId as number) * 1_000);
        expect(userData).toBe(`data ${frameId}`);
        expect(Math.abs((luma as number) - 144)).toBeLessThan(20);
        await from.call('stopFilming', { name }, waitMs);
      }

      const behindFrames = ['VP8', 'VP9', 'H264'];
      test.for(sharedKey ? behindFrames : [...behindFrames, 'AV1'])(
        'that the native engine publishes as %s is read',
        { timeout: testTimeoutMs },
        (codec) => expectThrough(native, 'native', ours, codec),
      );

      test.for(['VP8', 'H264'])(
        'that we publish as %s is read by the native engine',
        { timeout: testTimeoutMs },
        (codec) => expectThrough(ours, 'offhook', native, codec),
      );
    });
  }
}

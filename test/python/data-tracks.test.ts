import { afterAll, beforeAll, expect, test } from 'vitest';
import { startServer } from '../../src/server/index.js';
import { startLivekitServer } from '../support/livekit-server.mjs';
import { describeWith } from '../support/parts.js';
import { type Engine, type Program, startParticipant } from '../support/program.mjs';
import { makeToken } from '../support/token.mjs';

async function startOwnServer() {
  const server = await startServer({ port: 0 });
  return { url: server.url, apiKey: 'devkey', apiSecret: 'secret', stop: () => server.close() };
}

const servers = { 'livekit-server': startLivekitServer, 'the room server': startOwnServer };

for (const [name, start] of Object.entries(servers)) {
  describeWith(
    ['python livekit', 'cc', 'livekit-server'],
    `data tracks of Python programs through ${name}`,
    () => {
      let server: Awaited<ReturnType<typeof startOwnServer>>;
      const programs: Program[] = [];
      beforeAll(async () => {
        server = await start();
      });
      afterAll(async () => {
        await Promise.all(programs.map((program) => program.stop()));
        await server?.stop();
      });

      async function join(engine: Engine, room: string, identity: string): Promise<Program> {
        const program = startParticipant(engine, {}, 'python');
        programs.push(program);
        await program.waitFor('started', {}, 60_000);
        const token = await makeToken(server, room, identity);
        await program.call('connect', { url: server.url, token, hearing: null }, 60_000);
        return program;
      }

      test.each([
        ['offhook', 'native'],
        ['native', 'offhook'],
      ] as const)('come from the %s to the %s engine', { timeout: 120_000 }, async (from, to) => {
        const publisher = await join(from, `python-${from}`, 'publisher');
        const subscriber = await join(to, `python-${from}`, 'subscriber');
        const { sid, usesE2ee } = await publisher.call('publishDataTrack', { name: 'sensor' });
        expect(usesE2ee).toBe(false);
        await publisher.call('pushFrames', { name: 'sensor', bytes: 20_000, everyMs: 20 });
        const frame = await subscriber.waitFor('dataTrackFrame', { name: 'sensor' });
        expect(frame).toMatchObject({ bytes: 20_000, isWhole: true });
        const later = (frame.count as number) + 20;
        await subscriber.waitFor('dataTrackFrame', ({ count }) => (count as number) >= later);
        await publisher.call('unpublishDataTrack', { name: 'sensor' });
        await subscriber.waitFor('dataTrackUnpublished', { sid });
        expect(await subscriber.waitFor('dataTrackEnded')).toMatchObject({ isPublished: false });
      });
    },
  );
}

import { readdirSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { seededRandom } from '../audio/seeded-random.js';
import { Room } from '../support/engine.js';
import { describeWith } from '../support/parts.js';
import { House } from './house.js';

const warmUps = 30;
const rounds = 500;
/** Rounds in which V8 and the allocator take what they keep: Node 24 grows its heap by 70 MB, of which nothing is used. */
const settlingRounds = 250;

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

async function memory(): Promise<{ usedBytes: number; rssBytes: number }> {
  collectGarbage();
  await setImmediate();
  collectGarbage();
  const { heapUsed, external, rss } = process.memoryUsage();
  return { usedBytes: heapUsed + external, rssBytes: rss };
}

interface Footprint {
  descriptors: number;
  threads: number;
  handles: number;
}

function footprint(): Footprint {
  const count = (path: string) => (process.platform === 'linux' ? readdirSync(path).length : 0);
  return {
    descriptors: count('/proc/self/fd'),
    threads: count('/proc/self/task'),
    handles: process.getActiveResourcesInfo().filter((name) => !/Timeout|Immediate/.test(name)).length,
  };
}

describeWith(['livekit-server'], 'a room that is left at any moment', () => {
  let house: House;
  beforeAll(async () => {
    house = await House.open();
  });
  afterAll(() => house?.close());

  /** Connects, publishes, perhaps loses its connection, and is stopped in the middle of whatever it does. */
  async function begin(round: number, random: () => number): Promise<string> {
    const room = new Room();
    const controller = new AbortController();
    const token = await house.token(`room ${round % 5}`, `guest ${round}`);
    const kind = round % 4;
    const acts = async () => {
      await room.connect(house.server.url, token, {
        iceServers: [],
        signal: controller.signal,
        waitFor: kind === 0 ? 'media' : 'join',
      });
      if (kind === 1) await room.localParticipant.publishAudio(house.tone(440));
      if (kind === 2) room.simulate('signalReconnect');
      if (kind === 3) room.simulate('fullReconnect');
      return 'done';
    };
    const acting = acts().catch((error) => String(error.code));
    await new Promise((resolve) => setTimeout(resolve, random() * 100));
    if (round % 2 === 0) controller.abort();
    await room.disconnect();
    expect(room.connectionState).toBe('disconnected');
    return acting;
  }

  it('leaves no socket, descriptor, thread or memory behind', { timeout: 200_000 }, async () => {
    const random = seededRandom(7);
    for (let round = 0; round < warmUps; round++) await begin(round, random);
    const before = footprint();
    const outcomes = new Set<string>();
    for (let round = 0; round < settlingRounds; round++) outcomes.add(await begin(round, random));
    const settled = await memory();
    for (let round = settlingRounds; round < rounds; round++) outcomes.add(await begin(round, random));
    expect([...outcomes].sort()).toEqual(['OFFHOOK_ABORTED', 'OFFHOOK_CLOSED', 'done']);
    await expect
      .poll(
        () => {
          const after = footprint();
          return (
            after.descriptors <= before.descriptors + 2 &&
            after.threads <= before.threads + 2 &&
            after.handles <= before.handles
          );
        },
        { timeout: 10_000 },
      )
      .toBe(true);
    const { usedBytes, rssBytes } = await memory();
    const measured = rounds - settlingRounds;
    expect((usedBytes - settled.usedBytes) / measured, 'bytes used for each').toBeLessThan(50_000);
    expect((rssBytes - settled.rssBytes) / measured, 'bytes of memory for each').toBeLessThan(200_000);
  });

  it('is told why its connect did not return', async () => {
    const room = new Room();
    const token = await house.token('told', 'guest');
    const connecting = room.connect(house.server.url, token, { iceServers: [] });
    await room.disconnect();
    await expect(connecting).rejects.toMatchObject({ code: 'OFFHOOK_ABORTED' });
    const aborted = room.connect(house.server.url, token, { signal: AbortSignal.abort() });
    await expect(aborted).rejects.toMatchObject({ code: 'OFFHOOK_ABORTED' });
  });
});

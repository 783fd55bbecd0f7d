import { beforeAll, expect, test, vi } from 'vitest';
import { describeWith } from '../support/parts.js';
import type { Program } from '../support/program.mjs';
import { House } from './house.js';

interface Stats {
  publisher: string[];
  subscriber: string[];
  packetsReceived: number;
  packetsSent: number;
}

describeWith(['livekit-server', 'native engine'], "a room's statistics", () => {
  const house = new House();
  let ours: Program;
  beforeAll(async () => {
    const native = await house.join('native', 'native');
    ours = await house.join('offhook', 'ours');
    await Promise.all([ours, native].map((member) => member.call('publishSilence')));
    await ours.waitFor('trackSubscribed', { identity: 'native' });
  });

  test('count the packets of the tracks that are sent and received', async () => {
    await ours.call('listen', { identity: 'native', sampleRate: 48_000 });
    // A stream can be there before the first packet is.
    const stats = await vi.waitUntil(
      async () => {
        const now = await ours.call<Stats>('stats');
        return now.packetsReceived > 0 && now.packetsSent > 0 && now;
      },
      { timeout: 10_000 },
    );
    expect(stats.publisher).toEqual(expect.arrayContaining(['candidatePair', 'codec', 'outboundRtp']));
    expect(stats.subscriber).toEqual(expect.arrayContaining(['candidatePair', 'codec', 'inboundRtp']));
  });
});

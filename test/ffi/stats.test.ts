import { beforeAll, expect, test, vi } from 'vitest';
import { describeWith } from '../support/parts.js';
import type { Program } from '../support/program.mjs';
import { House } from './house.js';
import { ProtocolRoom } from './protocol-room.js';

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
    // One peer connection carries both directions.
    expect(stats.publisher).toEqual(
      expect.arrayContaining(['candidatePair', 'codec', 'outboundRtp', 'inboundRtp']),
    );
    expect(stats.subscriber).toEqual([]);
  });

  test('have the time in microseconds, and the address at which the server is', async () => {
    const room = new ProtocolRoom();
    try {
      await room.connect(house, 'bare');
      const candidate = await vi.waitUntil(
        async () => {
          const { asyncId } = room.ffi.request({
            case: 'getSessionStats',
            value: { roomHandle: room.roomHandle },
          });
          const { message } = await room.ffi.waitFor('getSessionStats', (value) => value.asyncId === asyncId);
          const stats = message.case === 'result' ? message.value.publisherStats : [];
          return stats.map((each) => each.stats).find(({ case: name }) => name === 'remoteCandidate');
        },
        { timeout: 10_000 },
      );
      if (candidate?.case !== 'remoteCandidate') throw new Error('no candidate');
      expect(candidate.value.candidate).toMatchObject({ port: house.server.udpPort, protocol: 'udp' });
      expect(Math.abs(Number(candidate.value.rtc!.timestamp) / 1_000 - Date.now())).toBeLessThan(60_000);
    } finally {
      await room.ffi.dispose();
    }
  });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { JitterBuffer, type MediaPacket } from '../../src/audio/jitter-buffer.js';

const packetUnits = 960;

function packet(index: number, overrides: Partial<MediaPacket> = {}): MediaPacket {
  return {
    sequenceNumber: index & 0xffff,
    timestamp: (index * packetUnits) >>> 0,
    payload: Buffer.of(index & 0xff),
    samples: packetUnits,
    redundant: false,
    dtx: false,
    ...overrides,
  };
}

/** Plays `durationMs` from `fromMs` in steps of 10 ms, as `Playout` does: a packet covers two of them. */
function play(jitter: JitterBuffer, fromMs: number, durationMs: number) {
  const kinds: string[] = [];
  const timestamps: number[] = [];
  let coveredMs = 0;
  for (let ms = 0; ms < durationMs; ms += 10) {
    if (coveredMs > 0) {
      coveredMs -= 10;
      continue;
    }
    const decision = jitter.next(fromMs + ms);
    kinds.push(decision.kind);
    if (decision.kind === 'packet') {
      timestamps.push(decision.packet.timestamp);
      coveredMs = 10;
    } else if (decision.kind !== 'silence') {
      jitter.filled(packetUnits / 2);
    }
  }
  return { kinds, timestamps };
}

describe('JitterBuffer', () => {
  test('plays packets in the order of their timestamps, in any order of arrival', () => {
    const jitter = new JitterBuffer(48_000);
    for (const index of [0, 2, 1, 3]) jitter.insert(packet(index), 0);
    expect(play(jitter, 0, 140).timestamps).toEqual([0, 960, 1920, 2880]);
  });

  test('refuses a duplicate, a redundant copy of what is there, and what comes after its turn', () => {
    const jitter = new JitterBuffer(48_000);
    expect(jitter.insert(packet(0), 0)).toBe(true);
    expect(jitter.insert(packet(0), 1)).toBe(false);
    expect(jitter.insert(packet(0, { redundant: true }), 1)).toBe(false);
    expect(jitter.insert(packet(2), 40)).toBe(true);
    expect(play(jitter, 20, 100).timestamps).toEqual([0, 1920]);
    expect(jitter.insert(packet(1), 130)).toBe(false);
    expect(jitter.stats).toMatchObject({ duplicates: 1, late: 1, played: 2 });
  });

  test('fills the time of a lost packet, and plays the next one when it is due', () => {
    const jitter = new JitterBuffer(48_000);
    for (const index of [0, 1, 3]) jitter.insert(packet(index), index * 20);
    const { kinds } = play(jitter, 20, 100);
    expect(kinds.filter((kind) => kind === 'packet')).toHaveLength(3);
    expect(kinds.filter((kind) => kind === 'conceal').length).toBeGreaterThanOrEqual(2);
  });

  test('does not conceal while the sender is silent', () => {
    const jitter = new JitterBuffer(48_000);
    jitter.insert(packet(0), 0);
    jitter.insert(packet(1, { dtx: true }), 20);
    const { kinds } = play(jitter, 20, 400);
    expect(kinds).not.toContain('conceal');
    expect(kinds).toContain('comfort');
  });

  test('falls silent when a sender stops for long, and restarts with its next packet', () => {
    const jitter = new JitterBuffer(48_000);
    jitter.insert(packet(0), 0);
    const { kinds } = play(jitter, 20, 2_000);
    expect(kinds.at(-1)).toBe('silence');
    for (const index of [120, 121]) jitter.insert(packet(index), index * 20);
    expect(play(jitter, 2_420, 60).timestamps).toEqual([120 * 960, 121 * 960]);
  });

  test('follows a jump in time once a second packet confirms it, and ignores a single stray', () => {
    const jitter = new JitterBuffer(48_000);
    for (let i = 0; i < 5; i++) jitter.insert(packet(i), i * 20);
    expect(jitter.insert(packet(5, { timestamp: 900_000_000 }), 100)).toBe(false);
    expect(jitter.insert(packet(6), 120)).toBe(true);
    expect(jitter.stats.resets).toBe(0);
    jitter.insert(packet(7, { timestamp: 900_000_000 }), 140);
    expect(jitter.insert(packet(8, { timestamp: 900_000_960 }), 160)).toBe(true);
    expect(jitter.stats.resets).toBe(1);
    expect(play(jitter, 180, 40).timestamps).toEqual([900_000_960]);
  });

  test('keeps a bounded number of packets when nobody plays them', () => {
    const jitter = new JitterBuffer(48_000);
    for (let i = 0; i < 1_000; i++) jitter.insert(packet(i), i * 20);
    expect(jitter.stats.bufferedMs).toBeLessThanOrEqual(300 * 20);
    expect(jitter.stats.discarded).toBe(700);
  });

  test('for any arrivals: timestamps only rise, nothing plays twice, time never stands still', () => {
    const arrival = fc.record({
      index: fc.integer({ min: 0, max: 80 }),
      delayMs: fc.integer({ min: 0, max: 400 }),
      redundant: fc.boolean(),
      dtx: fc.boolean(),
    });
    fc.assert(
      fc.property(
        fc.array(arrival, { maxLength: 120 }),
        fc.integer({ min: 0, max: 2 ** 32 - 1 }),
        fc.integer({ min: 0, max: 65_535 }),
        (arrivals, firstTimestamp, firstSequence) => {
          const jitter = new JitterBuffer(48_000);
          const due = arrivals
            .map((each) => ({ ...each, atMs: each.index * 20 + each.delayMs }))
            .sort((a, b) => a.atMs - b.atMs);
          const played: number[] = [];
          for (let nowMs = 0; nowMs < 2_400; nowMs += 20) {
            while (due[0] && due[0].atMs <= nowMs) {
              const { index, redundant, dtx, atMs } = due.shift()!;
              const timestamp = (firstTimestamp + index * packetUnits) >>> 0;
              const sequenceNumber = (firstSequence + index) & 0xffff;
              jitter.insert(packet(index, { timestamp, sequenceNumber, redundant, dtx }), atMs);
            }
            const decision = jitter.next(nowMs);
            if (decision.kind === 'packet') {
              played.push(((decision.packet.timestamp - firstTimestamp) | 0) / packetUnits);
            } else if (decision.kind !== 'silence') jitter.filled(packetUnits);
          }
          for (let i = 1; i < played.length; i++) expect(played[i]!).toBeGreaterThan(played[i - 1]!);
          const { late, duplicates, discarded } = jitter.stats;
          expect(played.length + late + duplicates + discarded).toBeLessThanOrEqual(arrivals.length);
        },
      ),
      { numRuns: 300 },
    );
  });
});

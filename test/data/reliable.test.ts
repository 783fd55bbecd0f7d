import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ReliableInbox } from '../../src/data/reliable-inbox.js';
import { ReliableOutbox } from '../../src/data/reliable-outbox.js';
import { ReorderBuffer } from '../../src/data/reorder-buffer.js';
import { SequenceWindow } from '../../src/data/sequence-window.js';

describe('reliable packets across resumes', () => {
  it('arrive once and in order, also those on their way when the session broke', () => {
    // Of each burst some packets reach the server before the break, and what was on its way may still come later.
    const bursts = fc.array(
      fc.record({
        packets: fc.integer({ min: 0, max: 20 }),
        arrived: fc.integer({ min: 0, max: 20 }),
        late: fc.boolean(),
      }),
      { maxLength: 10 },
    );
    fc.assert(
      fc.property(bursts, (rounds) => {
        const outbox = new ReliableOutbox();
        const inbox = new ReliableInbox(() => 0);
        const received: number[] = [];
        let lastReceived = 0;
        const arrive = (sequence: number) => {
          if (!inbox.accept('PA_sender', sequence)) return;
          received.push(sequence);
          lastReceived = sequence;
        };
        let sent = 0;
        for (const { packets, arrived, late } of rounds) {
          const burst = Array.from({ length: packets }, () => {
            const sequence = outbox.nextSequence;
            outbox.sent({ sequence, bytes: new Uint8Array(100) }, 0);
            return sequence;
          });
          sent += packets;
          burst.slice(0, arrived).forEach(arrive);
          if (late) burst.slice(arrived).forEach(arrive);
          for (const { sequence } of outbox.since(lastReceived)) arrive(sequence);
        }
        expect(received).toEqual(Array.from({ length: sent }, (_, i) => i + 1));
      }),
    );
  });

  it('are kept while they may be on their way, and no longer', () => {
    const outbox = new ReliableOutbox();
    for (let sequence = 1; sequence <= 300; sequence++) {
      outbox.sent({ sequence: outbox.nextSequence, bytes: new Uint8Array(10_000) }, 0);
    }
    const kept = outbox.since(0);
    expect(kept.at(-1)!.sequence).toBe(300);
    expect(kept.length).toBeLessThan(120);
    expect(kept.length).toBeGreaterThan(100);
  });
});

describe('the inbox', () => {
  it('takes packets without a number or a sender as they come', () => {
    const inbox = new ReliableInbox(() => 0);
    expect([
      inbox.accept('', 5),
      inbox.accept('', 5),
      inbox.accept('PA_a', 0),
      inbox.accept('PA_a', 0),
    ]).toEqual([true, true, true, true]);
    expect(inbox.states()).toEqual([]);
  });

  it('says of each sender what came last, and forgets those that fell silent', () => {
    let nowMs = 0;
    const inbox = new ReliableInbox(() => nowMs);
    inbox.accept('PA_a', 3);
    nowMs = 20_000;
    inbox.accept('PA_b', 7);
    expect(inbox.states()).toEqual([
      { publisherSid: 'PA_a', lastSeq: 3 },
      { publisherSid: 'PA_b', lastSeq: 7 },
    ]);
    nowMs = 40_000;
    expect(inbox.states()).toEqual([{ publisherSid: 'PA_b', lastSeq: 7 }]);
  });
});

describe('numbers that were seen', () => {
  it('are recognised in any order within the window', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 5_000 })), (sequences) => {
        const window = new SequenceWindow();
        const seen = new Set<number>();
        for (const sequence of sequences) {
          expect(window.add(sequence)).toBe(!seen.has(sequence));
          seen.add(sequence);
        }
        expect(window.highest).toBe(Math.max(0, ...sequences));
      }),
    );
  });

  it('that are older than the window count as seen', () => {
    const window = new SequenceWindow();
    window.add(100_000);
    expect(window.add(100)).toBe(false);
    expect(window.add(99_000)).toBe(true);
  });
});

describe('packets that overtake each other while a channel opens', () => {
  const item = (publisherSid: string, sequence: number) => ({ publisherSid, sequence });

  it('are delivered in order, each once, for every sender', () => {
    const numbers = fc.uniqueArray(fc.integer({ min: 2, max: 40 }));
    fc.assert(
      fc.property(numbers, numbers, (ofAda, ofBob) => {
        const delivered: { publisherSid: string; sequence: number }[] = [];
        const buffer = new ReorderBuffer<(typeof delivered)[0]>({
          deliver: (packet) => delivered.push(packet),
          schedule: () => () => {},
        });
        const all = [
          item('ada', 1),
          item('bob', 1),
          ...ofAda.map((n) => item('ada', n)),
          ...ofBob.map((n) => item('bob', n)),
        ];
        for (const packet of all) buffer.push(packet);
        buffer.stop();
        for (const [publisher, sent] of [
          ['ada', ofAda],
          ['bob', ofBob],
        ] as const) {
          const got = delivered.filter(({ publisherSid }) => publisherSid === publisher);
          expect(got.map(({ sequence }) => sequence)).toEqual([1, ...sent].sort((a, b) => a - b));
        }
      }),
    );
  });

  it('wait for one that is missing for a moment only', () => {
    const delivered: number[] = [];
    let pass = () => {};
    const buffer = new ReorderBuffer<{ publisherSid: string; sequence: number }>({
      deliver: ({ sequence }) => delivered.push(sequence),
      schedule: (callback) => {
        pass = callback;
        return () => {};
      },
    });
    for (const sequence of [1, 3, 4]) buffer.push(item('ada', sequence));
    expect(delivered).toEqual([1]);
    pass();
    buffer.push(item('ada', 5));
    buffer.push(item('ada', 2));
    expect(delivered).toEqual([1, 3, 4, 5, 2]);
  });
});

import { describe, expect, test } from 'vitest';
import { limits } from '../../src/sip/limits.js';
import { digitOfInfo } from '../../src/sip/media/index.js';
import { DtmfReceiver, DtmfSender } from '../../src/sip/media/telephone-event.js';

/** The fields of an event (RFC 4733, section 2.3). */
const event = (code: number, ends = false, duration = 160): Uint8Array =>
  Uint8Array.of(code, ends ? 0x8a : 0x0a, duration >> 8, duration & 0xff);

describe('keys that come', () => {
  type Packet = [payload: Uint8Array, timestamp: number, ssrc?: number];

  test.each<[string, Packet[], string]>([
    [
      'count once, in however many packets',
      [
        [event(5), 100],
        [event(5, false, 320), 100],
        [event(5, true, 480), 100],
      ],
      '5',
    ],
    ['count when all but the end is lost', [[event(5, true, 480), 100]], '5'],
    [
      'count once, however often the end comes',
      [
        [event(5, true), 100],
        [event(5, true), 100],
        [event(5, true), 100],
      ],
      '5',
    ],
    [
      'count twice when one is pressed twice',
      [
        [event(5), 100],
        [event(5), 2_000],
      ],
      '55',
    ],
    [
      'are all that there are',
      [...'0123456789*#ABCD'].map((_, code) => [event(code), 160 * (code + 1)]),
      '0123456789*#ABCD',
    ],
    [
      'do not count when a later one has overtaken them',
      [
        [event(5), 2_000],
        [event(4), 100],
      ],
      '5',
    ],
    [
      'go on when timestamps begin again at 0',
      [
        [event(5), 0xffff_ff00],
        [event(4), 100],
      ],
      '54',
    ],
    [
      'count when another source has earlier timestamps',
      [
        [event(5), 2_000, 1],
        [event(4), 100, 2],
      ],
      '54',
    ],
    [
      'are no flash, and nothing that is too short',
      [
        [event(16), 100],
        [Uint8Array.of(5, 0, 0), 2_000],
      ],
      '',
    ],
  ])('%s', (_how, packets, digits) => {
    const receiver = new DtmfReceiver();
    const heard = packets.map(([payload, timestamp, ssrc = 1]) => receiver.receive(payload, timestamp, ssrc));
    expect(heard.map((one) => one?.digit ?? '').join('')).toBe(digits);
  });

  test.each([
    ['application/dtmf-relay', 'Signal=5\r\nDuration=160\r\n', '5'],
    ['application/dtmf-relay', 'Signal = #\r\n', '#'],
    ['application/dtmf-relay', 'Signal=11\r\n', '#'],
    ['application/dtmf-relay', 'Duration=160\r\n', 'no key'],
    ['application/dtmf', '*', '*'],
    ['application/dtmf', '16', 'no key'],
    ['text/plain', '5', 'no key'],
  ])('by INFO, %s %j: %s', (type, body, digit) => {
    expect(digitOfInfo(type, Buffer.from(body))?.digit ?? 'no key').toBe(digit);
  });
});

describe('keys that go', () => {
  /** What is sent in each 20 ms: nothing, or the key, its end and its length, and what marks it. */
  const steps = (sender: DtmfSender, count: number) =>
    Array.from({ length: count }, (_, i) => {
      const packet = sender.step(1_000 + i * 160);
      if (!packet) return undefined;
      const { payload, ...rest } = packet;
      return {
        code: payload[0],
        ends: (payload[1]! & 0x80) !== 0,
        duration: (payload[2]! << 8) | payload[3]!,
        ...rest,
      };
    });

  test('are one event each, of 160 ms, whose end is sent three times, with a pause after it', () => {
    const sender = new DtmfSender(8_000);
    sender.press('1');
    sender.press('#');
    const all = steps(sender, 26);
    for (const [begin, code, timestamp] of [
      [0, 1, 1_000],
      [12, 11, 1_000 + 12 * 160],
    ] as const) {
      for (let i = 0; i < 8; i++) {
        const ends = i === 7;
        expect(all[begin + i]).toEqual({
          ...{ code, timestamp, ends, duration: 160 * (i + 1) },
          ...{ marker: i === 0, repeats: ends ? 3 : 1 },
        });
      }
      expect(all.slice(begin + 8, begin + 12)).toEqual([undefined, undefined, undefined, undefined]);
    }
    expect(all.slice(24)).toEqual([undefined, undefined]);
  });

  test('wait half a second for each w, and leave out what is no key', () => {
    const sender = new DtmfSender(8_000);
    sender.press('wW x1');
    const all = steps(sender, 60);
    expect(all.findIndex((one) => one !== undefined)).toBe(50);
    expect(all[50]!.code).toBe(1);
  });

  test('have lengths in the units of their clock', () => {
    const sender = new DtmfSender(48_000);
    sender.press('1');
    expect(steps(sender, 8).map((one) => one!.duration)).toEqual(
      [1, 2, 3, 4, 5, 6, 7, 8].map((n) => n * 960),
    );
  });

  test('that a participant presses faster than they can be played do not pile up', () => {
    const sender = new DtmfSender(8_000);
    for (let i = 0; i < 1_000; i++) sender.press('123');
    const played = steps(sender, 12 * 3_000).filter((one) => one?.ends).length;
    expect(played).toBe(limits.waitingKeys.value);
  });
});

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseRed } from '../../src/audio/index.js';
import { buildRed } from '../../src/audio/red.js';

const payload = fc.uint8Array({ maxLength: 300 });
const older = fc.array(fc.record({ timestampOffset: fc.integer({ min: 1, max: 16_383 }), payload }), {
  maxLength: 3,
});

describe('RED', () => {
  test('what is written can be read again, oldest first', () => {
    fc.assert(
      fc.property(payload, older, (primary, blocks) => {
        const expected = [...blocks, { timestampOffset: 0, payload: primary }].map((block) => ({
          payloadType: 111,
          timestampOffset: block.timestampOffset,
          payload: Buffer.from(block.payload),
        }));
        expect(parseRed(buildRed(111, primary, blocks))).toEqual(expected);
      }),
    );
  });

  test('blocks that the format cannot hold are left out', () => {
    const red = buildRed(111, Buffer.of(1), [
      { timestampOffset: 16_384, payload: Buffer.of(2) },
      { timestampOffset: 960, payload: Buffer.alloc(1_024) },
    ]);
    expect(parseRed(red)).toHaveLength(1);
  });

  test('any bytes are parsed or refused, never an exception', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
        const blocks = parseRed(Buffer.from(bytes));
        const total = blocks?.reduce((sum, block) => sum + block.payload.length, 0) ?? 0;
        expect(total).toBeLessThanOrEqual(bytes.length);
      }),
      { numRuns: 2_000 },
    );
  });
});

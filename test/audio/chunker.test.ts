import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Chunker } from '../../src/audio/chunker.js';

test('pieces have the length asked for and, joined, are what came in', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 50 }), fc.array(fc.nat({ max: 130 })), (size, lengths) => {
      const chunker = new Chunker(size);
      const out: number[] = [];
      let value = 0;
      for (const length of lengths) {
        const input = Int16Array.from({ length }, () => value++);
        chunker.push(input, (piece) => {
          expect(piece).toHaveLength(size);
          out.push(...piece);
        });
        expect(chunker.isEmpty).toBe(value % size === 0);
      }
      expect(out).toEqual(Array.from({ length: value - (value % size) }, (_, i) => i));
    }),
  );
});

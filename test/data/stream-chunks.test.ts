import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { chunkBytes, splitBytes, splitUtf8 } from '../../src/data/stream-chunks.js';

const longText = fc
  .array(fc.constantFrom('a', 'ß', '€', '😀', 'é'), { minLength: 1, maxLength: 50 })
  .chain((characters) => fc.integer({ min: 0, max: 900 }).map((times) => characters.join('').repeat(times)));

describe('chunks of text', () => {
  it('are together the text, and each of them text on its own', () => {
    fc.assert(
      fc.property(longText, (text) => {
        const strict = new TextDecoder('utf-8', { fatal: true });
        const chunks = [...splitUtf8(Buffer.from(text))];
        expect(chunks.map((chunk) => strict.decode(chunk)).join('')).toBe(text);
      }),
      { numRuns: 30 },
    );
  });

  it('have 15,000 bytes at most', () => {
    fc.assert(
      fc.property(longText, (text) => {
        for (const chunk of splitUtf8(Buffer.from(text)))
          expect(chunk.length).toBeLessThanOrEqual(chunkBytes);
      }),
      { numRuns: 30 },
    );
  });
});

describe('chunks of bytes', () => {
  it('are full but for the last', () => {
    expect([...splitBytes(new Uint8Array(31_000))].map(({ length }) => length)).toEqual([
      15_000, 15_000, 1_000,
    ]);
    expect([...splitBytes(new Uint8Array(0))]).toEqual([]);
  });
});

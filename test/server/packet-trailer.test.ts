import { expect, test } from 'vitest';
import { withoutTrailer } from '../../src/server/sfu/down-track.js';

const trailerOf = (bytes: number) =>
  Buffer.concat([Buffer.alloc(bytes - 5, 7), Buffer.of(bytes ^ 0xff), Buffer.from('LKTS')]);

test('a trailer is taken off, and nothing that only looks like one', () => {
  const frame = Buffer.from('the end of a frame');
  for (const bytes of [5, 11, 255])
    expect(withoutTrailer(Buffer.concat([frame, trailerOf(bytes)])).equals(frame)).toBe(true);
  for (const other of [
    frame,
    Buffer.from('LKTS'),
    Buffer.concat([frame, Buffer.of(4 ^ 0xff), Buffer.from('LKTS')]),
    Buffer.concat([Buffer.of(200 ^ 0xff), Buffer.from('LKTS')]),
  ])
    expect(withoutTrailer(other).equals(other)).toBe(true);
});

import { basename, join, resolve, sep } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { safeFileName } from '../../src/data/index.js';

describe('a name that somebody else chose', () => {
  test.each([
    ['voice.wav', 'voice.wav'],
    ['../../escape', 'escape'],
    ['..\\..\\escape', 'escape'],
    ['/etc/passwd', 'passwd'],
    ['C:\\boot.ini', 'boot.ini'],
    ['folder/', 'folder'],
    ['a\u0000b\nc', 'a_b_c'],
    ['stream:hidden', 'stream_hidden'],
    ['Grüße.txt', 'Grüße.txt'],
  ])('%j becomes the file name %j', (name, expected) => {
    expect(safeFileName(name)).toBe(expected);
  });

  test('is passed over when nothing of it is left, and the next one counts', () => {
    expect(safeFileName('..', '../../x')).toBe('x');
    expect(safeFileName('', '/', '.')).toBe('unnamed');
  });

  test('always stays in its folder and fits a file system', () => {
    const parts = fc.constantFrom('..', '.', '/', '\\', '\u0000', 'é', 'a', ':', '🙂'.repeat(80));
    const names = fc.oneof(
      fc.string(),
      fc.array(parts).map((some) => some.join('')),
    );
    fc.assert(
      fc.property(names, names, (name, other) => {
        const path = resolve(join('/folder', safeFileName(name, other)));
        expect(path.startsWith(`/folder${sep}`)).toBe(true);
        expect(path).toBe(join('/folder', basename(path)));
        expect(Buffer.byteLength(basename(path))).toBeLessThanOrEqual(255);
      }),
    );
  });
});

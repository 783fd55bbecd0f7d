import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { describeError, errorCodes, OffhookError } from '../../src/errors/index.js';

test('as a line an error names stage, host, time, advice and code', () => {
  const error = new OffhookError('OFFHOOK_UNREACHABLE', 'cannot reach a:1', {
    stage: 'tcp',
    host: 'a:1',
    elapsedMs: 12.4,
    advice: 'Check it.',
    cause: new Error('underneath'),
  });
  expect(error.toLine()).toBe(
    'cannot reach a:1 (stage tcp, host a:1, after 12 ms). Check it. [OFFHOOK_UNREACHABLE]',
  );
  expect(error.cause).toEqual(new Error('underneath'));
  expect(new OffhookError('OFFHOOK_CLOSED', 'the room is closed').toLine()).toBe(
    'the room is closed. [OFFHOOK_CLOSED]',
  );
});

test('anything that was thrown is described in words', () => {
  expect([new Error('a'), 'b', undefined].map(describeError)).toEqual(['a', 'b', 'undefined']);
});

test('docs/errors.md has a paragraph for each code, and for no other', () => {
  const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');
  const paragraphs = [...page.matchAll(/^### (\w+)\n\n(?=\S)/gm)].map(([, code]) => code);
  expect(paragraphs.sort()).toEqual([...errorCodes].sort());
});

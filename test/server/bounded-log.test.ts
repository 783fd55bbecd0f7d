import { expect, test } from 'vitest';
import type { Logger } from '../../src/logging/index.js';
import { BoundedLog } from '../../src/server/bounded-log.js';

test('of many lines of one cause a few are shown in each minute, and all are there for debugging', () => {
  const lines: string[] = [];
  const logger = Object.fromEntries(
    ['error', 'warn', 'info', 'debug'].map((level) => [
      level,
      (message: string) => lines.push(`${level} ${message}`),
    ]),
  ) as unknown as Logger;
  let nowMs = 0;
  const log = new BoundedLog(logger, 2, () => nowMs);
  for (let i = 0; i < 4; i++) log.write('warn', `${i}`);
  expect(lines).toEqual(['warn 0', 'warn 1', 'debug 2', 'debug 3']);
  nowMs = 60_000;
  log.write('info', 'later');
  expect(lines.at(-1)).toBe('info later');
});

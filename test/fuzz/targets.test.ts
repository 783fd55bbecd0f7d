import { describe, expect, test } from 'vitest';
import { fuzz, targetNames } from '../../fuzz/run.mjs';

const seconds = process.env.CI ? 10 : 2;

describe('what comes from a network or a program', () => {
  test.each(targetNames())(
    'breaks nothing that parses %s',
    async (target: string) => {
      const seed = Math.floor(Math.random() * 1_000_000);
      const { findings, executions } = await fuzz(target, seconds, seed);
      expect(findings, `FUZZ_SEED=${seed} npm run fuzz -- ${target} ${seconds}`).toEqual([]);
      expect(executions).toBeGreaterThan(0);
    },
    60_000,
  );
});

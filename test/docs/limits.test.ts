import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { limitsPage } from '../../scripts/limits.mjs';
import { limits as engine, type Limits } from '../../src/limits.js';

const serverTable = new URL('../../src/server/limits.ts', import.meta.url);

async function serverLimits(): Promise<Limits | undefined> {
  if (!existsSync(serverTable)) return undefined;
  const { limits } = (await import(serverTable.href)) as { limits: Limits };
  return limits;
}

describe('the limits', () => {
  test('are on the page as the code has them', async () => {
    const page = readFileSync(new URL('../../docs/limits.md', import.meta.url), 'utf8');
    expect(page, 'run: node scripts/limits.mjs').toBe(limitsPage({ engine, server: await serverLimits() }));
  });

  test('each have a value, a source and an effect', async () => {
    for (const [name, limit] of Object.entries<Limits[string]>({ ...engine, ...(await serverLimits()) })) {
      expect(limit.value, name).toBeGreaterThan(0);
      expect(limit.source, name).not.toBe('');
      expect(limit.effect, name).toMatch(/\.$/);
    }
  });
});

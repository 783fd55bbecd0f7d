import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { limitsPage } from '../../scripts/limits.mjs';
import { limits as engine, type Limits } from '../../src/limits.js';
import { limits as server } from '../../src/server/limits.js';
import { limits as sip } from '../../src/sip/limits.js';

describe('the limits', () => {
  test('are on the page as the code has them', () => {
    const page = readFileSync(new URL('../../docs/limits.md', import.meta.url), 'utf8');
    expect(page, 'run: node scripts/limits.mjs').toBe(limitsPage({ engine, server, sip }));
  });

  test.each(Object.entries<Limits>({ engine, server, sip }))(
    'of the part %s each have a value, a source and an effect',
    (_part, limits) => {
      for (const [name, limit] of Object.entries(limits)) {
        expect(limit.value, name).toBeGreaterThan(0);
        expect(limit.source, name).not.toBe('');
        expect(limit.effect, name).toMatch(/\.$/);
      }
    },
  );
});

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const script = fileURLToPath(new URL('../../scripts/parts.mjs', import.meta.url));

test('on a machine that has nothing, the packages to install are named in one line', () => {
  const empty = mkdtempSync(join(tmpdir(), 'offhook-path-'));
  try {
    const { stdout, status } = spawnSync(process.execPath, [script, '--packages'], {
      encoding: 'utf8',
      env: { PATH: empty },
    });
    expect(status).toBe(0);
    expect(stdout.trim().split('\n')).toHaveLength(1);
    expect(stdout.trim().split(' ')).toEqual(expect.arrayContaining(['gcc', 'chromium', 'python3-venv']));
  } finally {
    rmSync(empty, { recursive: true });
  }
});

import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { describeWith } from '../support/parts.js';

interface Result {
  outcome: string;
  connectMs: number;
  hearsMs?: number;
  heardMs?: number;
  error?: string;
  silenceMs?: number;
  data?: Record<'outgoing' | 'incoming', { lost: number; doubled: number; inOrder: boolean }>;
}

const bench = fileURLToPath(new URL('../../bench/faults/run.mjs', import.meta.url));

/** Runs scenarios of the fault bench with an unmodified program on offhook. */
function runScenarios(...ids: string[]): Record<string, Result> {
  const out = mkdtempSync(join(tmpdir(), 'offhook-faults-'));
  try {
    const args = [bench, '--engine', 'offhook', '--only', ids.join(','), '--out', out];
    const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' });
    if (status !== 0) throw new Error(`${stdout}\n${stderr}`);
    const table = JSON.parse(readFileSync(join(out, 'faults.json'), 'utf8')) as Record<
      string,
      { offhook: Result }
    >;
    return Object.fromEntries(Object.entries(table).map(([id, { offhook }]) => [id, offhook]));
  } finally {
    rmSync(out, { recursive: true });
  }
}

describeWith(
  ['livekit-server', 'network namespaces', 'cc'],
  'an unmodified program on a broken network',
  () => {
    test('a dead address of two is passed over, and both ends hear each other', { timeout: 60_000 }, () => {
      const { 'address-dead': v4, 'ipv6-dead': v6 } = runScenarios('address-dead', 'ipv6-dead');
      for (const result of [v4!, v6!]) {
        expect(result).toMatchObject({ outcome: 'connected' });
        expect(result.connectMs).toBeLessThan(3_000);
        expect(result.hearsMs).toBeDefined();
        expect(result.heardMs).toBeDefined();
      }
    });

    test('what is silent ends connecting at its deadline, with an error that names it', {
      timeout: 90_000,
    }, () => {
      const results = runScenarios('dns-silent', 'syn-dropped', 'tls-swallowed', 'websocket-mute');
      const stages = {
        'dns-silent': 'dns',
        'syn-dropped': 'tcp',
        'tls-swallowed': 'tls',
        'websocket-mute': 'join',
      };
      for (const [id, stage] of Object.entries(stages)) {
        expect(results[id]!.outcome).toBe('failed');
        expect(results[id]!.error).toContain(`stage ${stage}`);
        expect(results[id]!.connectMs).toBeLessThan(5_000 + 2_500);
      }
    });

    test('a call goes on from another address, and no reliable data is lost', { timeout: 60_000 }, () => {
      const { 'address-change': result } = runScenarios('address-change');
      expect(result).toMatchObject({ outcome: 'recovered' });
      expect(result!.silenceMs).toBeLessThan(5_000);
      const whole = { lost: 0, doubled: 0, inOrder: true };
      expect(result!.data).toMatchObject({ outgoing: whole, incoming: whole });
    });

    test('where UDP is dropped, a call goes over TCP, from the start and in the middle of it', {
      timeout: 90_000,
    }, () => {
      const { 'udp-dropped': before, 'udp-lost': within } = runScenarios('udp-dropped', 'udp-lost');
      expect(before).toMatchObject({ outcome: 'connected' });
      expect(before!.hearsMs).toBeDefined();
      expect(before!.heardMs).toBeDefined();
      expect(within).toMatchObject({ outcome: 'recovered' });
      expect(within!.silenceMs).toBeLessThan(5_000);
      const whole = { lost: 0, doubled: 0, inOrder: true };
      expect(within!.data).toMatchObject({ outgoing: whole, incoming: whole });
    });

    test('a plugin that blocks on a dropped connection delays nothing', { timeout: 60_000 }, () => {
      const { 'filter-blocked': result } = runScenarios('filter-blocked');
      expect(result).toMatchObject({ outcome: 'connected' });
      expect(result!.connectMs).toBeLessThan(3_000);
      expect(result!.hearsMs).toBeDefined();
    });
  },
);

import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface SippResult {
  status: number | null;
  /** What went wrong, as SIPp wrote it down. */
  errors: string;
}

/**
 * Plays a scenario of test/sip/scenarios against a gateway; a call of `call` lasts for `holdMs`.
 *
 * @returns its exit status: 0 when every call went as the scenario has it
 */
export async function playSipp(
  scenario: string,
  gateway: { port: number },
  options: { calls?: number; rate?: number; holdMs?: number; extra?: string[] } = {},
): Promise<SippResult> {
  const { calls = 1, rate = 10, holdMs = 600, extra = [] } = options;
  const folder = mkdtempSync(join(tmpdir(), 'offhook-sipp-'));
  const file = fileURLToPath(new URL(`scenarios/${scenario}.xml`, import.meta.url));
  const args = [
    ...['-sf', file, `127.0.0.1:${gateway.port}`, '-i', '127.0.0.1', '-p', '0', '-mi', '127.0.0.1'],
    ...['-m', String(calls), '-r', String(rate), '-l', String(calls), '-nostdin', '-trace_err'],
    ...['-timeout', '90', '-timeout_error', '-recv_timeout', '30000', '-d', String(holdMs), ...extra],
  ];
  const child = spawn('sipp', args, { cwd: folder, stdio: ['ignore', 'ignore', 'ignore'] });
  const status = await new Promise<number | null>((resolve) => child.once('exit', resolve));
  const errors = readdirSync(folder)
    .filter((name) => name.endsWith('_errors.log'))
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('\n');
  rmSync(folder, { recursive: true, force: true });
  return { status, errors };
}

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import type { Diagnosis } from '../../src/cli/doctor/report.js';
import { freeTcpPort, startLivekitServer } from '../support/livekit-server.mjs';
import { describeWith } from '../support/parts.js';

const main = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

async function doctor(...args: string[]): Promise<{ status: number | null; output: string }> {
  const { LIVEKIT_API_KEY, LIVEKIT_API_SECRET, ...env } = process.env;
  const child = spawn(process.execPath, [main, 'doctor', ...args], { env });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += String(chunk);
    });
  }
  const status = await new Promise<number | null>((resolve) => child.once('close', resolve));
  return { status, output };
}

describeWith(['livekit-server'], 'offhook doctor and a real livekit-server', () => {
  test('says that it works, as words, JSON and a page', async () => {
    const server = await startLivekitServer();
    const folder = mkdtempSync(join(tmpdir(), 'offhook-doctor-'));
    try {
      const keys = ['--api-key', server.apiKey, '--api-secret', server.apiSecret];
      const html = join(folder, 'report.html');
      const words = await doctor(server.url, ...keys, '--html', html);
      expect(words.output).toContain(`${server.url} works`);
      expect(words.status).toBe(0);
      expect(readFileSync(html, 'utf8')).toContain('Each step apart');

      const json = await doctor(server.url, ...keys, '--json');
      const diagnosis = JSON.parse(json.output) as Diagnosis;
      expect(diagnosis.healthy).toBe(true);
      expect(diagnosis.steps.map(({ name }) => name)).toEqual(
        expect.arrayContaining([
          'TCP to 127.0.0.1',
          'token',
          'WebSocket',
          'join',
          'media over UDP',
          'media over TCP',
          'publishing',
          'subscribing',
        ]),
      );
    } finally {
      rmSync(folder, { recursive: true });
      await server.stop();
    }
  });
});

test('a filter plugin that is no library is named', async () => {
  const url = `ws://127.0.0.1:${await freeTcpPort()}`;
  const { status, output } = await doctor(
    url,
    '--token',
    'a.b.c',
    '--filter',
    fileURLToPath(import.meta.url),
  );
  expect(status).toBe(1);
  expect(output).toContain('✗ filter');
});

test('a server that is not there: what is wrong, what to do, exit code 1', async () => {
  const { status, output } = await doctor(`ws://127.0.0.1:${await freeTcpPort()}`, '--token', 'a.b.c');
  expect(status).toBe(1);
  expect(output).toContain('ECONNREFUSED');
  expect(output).toContain('Nothing listens there');
});

test('without a token it says how to give one', async () => {
  const { status, output } = await doctor('ws://127.0.0.1:1');
  expect(status).toBe(1);
  expect(output).toContain('--api-key');
});

import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { Diagnosis } from '../../src/cli/doctor/report.js';
import { fakeServer } from '../signal/fake-server.js';
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
      expect(readFileSync(html, 'utf8')).toContain('Each step by itself');

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

  test('tests without a token what needs none, and says what a token would add', async () => {
    const server = await startLivekitServer();
    try {
      process.env.LIVEKIT_URL = server.url;
      const { status, output } = await doctor();
      expect(status).toBe(0);
      expect(output).toContain('✓ TCP to 127.0.0.1');
      expect(output).toContain('✓ HTTP');
      expect(output).toMatch(/– join .*needs a token/);
      expect(output).toMatch(/works as far as can be tested without a token\. For the rest pass --token/);
    } finally {
      delete process.env.LIVEKIT_URL;
      await server.stop();
    }
  });
});

test('names a filter plugin that is not a library', async () => {
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
  // The advice once below the step, and once in the summary.
  expect(output.match(/Nothing listens there/g)).toHaveLength(2);
  expect(output).toContain('Nothing listens there');
});

describe('the exit code', () => {
  test.each([
    ['no server', []],
    ['an option that there is none of', ['ws://127.0.0.1:1', '--tokn', 'x']],
    ['an option without its value', ['ws://127.0.0.1:1', '--token']],
  ])('is 2 for %s, and says what is wrong', async (_, args) => {
    const { status, output } = await doctor(...args);
    expect(status).toBe(2);
    expect(output).toMatch(/no server was given|unknown option|argument missing/);
  });
});

test('an address without a scheme gets the scheme suggested', async () => {
  for (const [address, suggested] of [
    ['127.0.0.1:7880', 'ws://127.0.0.1:7880'],
    ['localhost:7880', 'ws://localhost:7880'],
    ['example.livekit.cloud', 'wss://example.livekit.cloud'],
  ] as const) {
    expect((await doctor(address)).output).toContain(`Did you mean ${suggested} ?`);
  }
});

test('names a missing filter, and does not claim that calls go on', async () => {
  const url = `ws://127.0.0.1:${await freeTcpPort()}`;
  const { status, output } = await doctor(url, '--filter', '/nowhere/filter.so');
  expect(status).toBe(1);
  expect(output).toContain('/nowhere/filter.so');
  expect(output).toContain('Check the path');
  expect(output).not.toContain('The call goes on');
});

describe('a server that is not LiveKit', () => {
  async function withAnswer(status: number, body: string, look: (url: string) => Promise<void>) {
    const server = await fakeServer(() => {}, {
      answer: (_, response) => response.writeHead(status).end(body),
    });
    try {
      await look(server.url);
    } finally {
      await server.close();
    }
  }

  test('is recognised without a token, and its page is not printed', async () => {
    await withAnswer(404, '<!doctype html><title>nginx</title><p>Not found', async (url) => {
      const { status, output } = await doctor(url);
      expect(status).toBe(1);
      expect(output).toContain('HTTP 404');
      expect(output).toContain('Check that the address is that of a LiveKit server');
      expect(output).not.toContain('<');
    });
  });

  test('is not assumed when the answer is 400', async () => {
    await withAnswer(400, 'room name is missing', async (url) => {
      const { output } = await doctor(url, '--token', 'a.b.c');
      expect(output).toContain('HTTP 400, room name is missing');
      expect(output).not.toContain('that of a LiveKit server');
    });
  });

  test('has a code in the JSON, which has a schema version and rounded times', async () => {
    await withAnswer(503, 'busy', async (url) => {
      const { status, output } = await doctor(url, '--token', 'a.b.c', '--json');
      expect(status).toBe(1);
      const diagnosis = JSON.parse(output);
      expect(diagnosis).toMatchObject({ schemaVersion: 1, url, healthy: false });
      expect(diagnosis.steps.at(-1)).toMatchObject({ outcome: 'failed', code: 'OFFHOOK_SERVER_REFUSED' });
      for (const { elapsedMs } of diagnosis.steps) expect(String(elapsedMs)).toMatch(/^\d+(\.\d)?$/);
    });
  });

  test('is reported in the terminal when the page cannot be written', async () => {
    await withAnswer(503, 'busy', async (url) => {
      const { status, output } = await doctor(url, '--html', '/nowhere/report.html');
      expect(output).toMatch(/HTTP failed\. HTTP 503, busy/);
      expect(output).toContain('the report could not be written');
      expect(status).toBe(1);
    });
  });
});

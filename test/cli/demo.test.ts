import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { CallRecord } from '../../src/cli/demo/call-record.js';
import { describeWith } from '../support/parts.js';
import { Program } from '../support/program.mjs';

const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const demoTimeoutMs = 90_000;

describeWith(['cc', 'native engine'], 'offhook demo', () => {
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'offhook-demo-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  async function play(...args: string[]): Promise<{ printed: string; exitCode: number | string }> {
    const program = new Program(cli, { engine: 'native', args: ['demo', '--out', folder, ...args] });
    const exitCode = await program.untilEnded(demoTimeoutMs - 5_000);
    return { printed: program.output.join('\n'), exitCode };
  }

  const readRecord = (engine: string) =>
    JSON.parse(readFileSync(join(folder, `${engine}.json`), 'utf8')) as CallRecord;

  test(
    'has the agent greet the caller while its filter blocks, and tells the whole story',
    async () => {
      const { printed, exitCode } = await play();
      expect(exitCode, printed).toBe(0);
      const record = readRecord('offhook');
      expect(record.greeted).toBe(true);
      expect(record.firstAudioMs).toBeLessThan(5_000);
      const told = record.steps.map(({ who, what }) => `${who} ${what}`).join('\n');
      expect(told).toMatch(/caller hears the agent/);
      expect(told).toMatch(/caller hears the answer/);
      expect(told).toMatch(/engine declares filter .* unavailable/);
      expect(printed).toMatch(/websocket .* ok/);
      expect(readFileSync(join(folder, 'index.html'), 'utf8')).toContain('agent heard');
    },
    demoTimeoutMs,
  );

  test(
    'has the caller give up on the native engine, and puts both on one page',
    async () => {
      const { printed, exitCode } = await play('--native', '--give-up', '4');
      expect(exitCode, printed).toBe(0);
      const record = readRecord('native');
      expect(record.greeted).toBe(false);
      expect(printed).toMatch(/caller heard nothing and gave up/);
      const page = readFileSync(join(folder, 'index.html'), 'utf8');
      expect(page).toContain('Step by step, on offhook');
      expect(page).toContain('gives up');
    },
    demoTimeoutMs,
  );

  test(
    'takes its programs along when it is told to end',
    async () => {
      const program = new Program(cli, { engine: 'native', args: ['demo', '--out', folder] });
      const url = () => program.output.map((line) => /room server: ws(\S+)/.exec(line)?.[1]).find(Boolean);
      await expect.poll(url, { timeout: demoTimeoutMs / 2 }).toBeDefined();
      const answers = () =>
        fetch(`http${url()}`).then(
          () => true,
          () => false,
        );
      expect(await answers()).toBe(true);
      process.kill(program.pid, 'SIGTERM');
      expect(await program.untilEnded(demoTimeoutMs / 2)).toBe(143);
      await expect.poll(answers, { timeout: 10_000 }).toBe(false);
    },
    demoTimeoutMs,
  );
});

describeWith(['cc', 'native engine', 'baresip'], 'offhook demo --sip', () => {
  test(
    'has a telephone answered while the agent’s filter blocks, and draws its messages',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'offhook-demo-'));
      try {
        const program = new Program(cli, { engine: 'native', args: ['demo', '--sip', '--out', folder] });
        const exitCode = await program.untilEnded(demoTimeoutMs - 5_000);
        expect(exitCode, program.output.join('\n')).toBe(0);
        const record = JSON.parse(readFileSync(join(folder, 'sip/offhook.json'), 'utf8')) as CallRecord;
        expect(record.greeted).toBe(true);
        const messages = record.telephone?.ladder.map(({ summary }) => summary);
        expect(messages).toEqual([
          'INVITE',
          '100 Trying (INVITE)',
          '180 Ringing (INVITE)',
          '200 OK (INVITE)',
          'ACK',
          'BYE',
          '200 OK (BYE)',
        ]);
        expect(readFileSync(join(folder, 'sip/index.html'), 'utf8')).toContain('Messages of the call');
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    },
    demoTimeoutMs,
  );
});

describeWith(['cc', 'native engine', 'python livekit'], 'offhook demo --python', () => {
  test(
    'has an agent of livekit-agents greet the caller while its filter blocks',
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'offhook-demo-python-'));
      const program = new Program(cli, { engine: 'native', args: ['demo', '--python', '--out', folder] });
      expect(await program.untilEnded(demoTimeoutMs - 5_000), program.output.join('\n')).toBe(0);
      const record = JSON.parse(readFileSync(join(folder, 'offhook.json'), 'utf8')) as CallRecord;
      rmSync(folder, { recursive: true, force: true });
      expect(record.greeted).toBe(true);
      const steps = record.steps.map(({ who, what }) => `${who} ${what}`).join('\n');
      expect(steps).toMatch(/agent speaks/);
      expect(steps).toMatch(/engine declares filter .* unavailable/);
    },
    demoTimeoutMs,
  );
});

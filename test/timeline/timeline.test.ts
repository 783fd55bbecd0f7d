import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { withDeadline } from '../../src/deadlines/index.js';
import { OffhookError } from '../../src/errors/index.js';
import { runStage, saveTimeline, Timeline } from '../../src/timeline/index.js';

test('a step is kept with start, end and outcome, and ends once', () => {
  let nowMs = 1000;
  const timeline = new Timeline('room', () => nowMs);
  const ended: string[] = [];
  timeline.onSpanEnd((span) => ended.push(span.stage));
  nowMs = 1010;
  const span = timeline.begin('dns', { host: 'rooms.test' });
  nowMs = 1013;
  span.end('ok', '10.0.0.7');
  nowMs = 2000;
  span.end('failed');
  expect(timeline.toJSON().spans).toEqual([
    { stage: 'dns', host: 'rooms.test', startMs: 10, endMs: 13, outcome: 'ok', detail: '10.0.0.7' },
  ]);
  expect(ended).toEqual(['dns']);
});

test('the times of a step are rounded to a tenth of a millisecond', () => {
  let nowMs = 1000.123456;
  const timeline = new Timeline('room', () => nowMs);
  nowMs += 10.06;
  const span = timeline.begin('dns');
  nowMs += 2.987654;
  span.end('ok');
  expect(timeline.spans).toMatchObject([{ startMs: 10.1, endMs: 13 }]);
});

test('a room that reconnects for ever keeps its first steps and the latest', () => {
  let nowMs = 0;
  const timeline = new Timeline('room', () => nowMs);
  for (nowMs = 0; nowMs < 1000; nowMs++) timeline.begin('tcp').end('failed');
  const { spans, forgotten } = timeline.toJSON();
  expect(spans).toHaveLength(256);
  expect(forgotten).toBe(1000 - 256);
  expect([spans[0]!.startMs, spans[63]!.startMs, spans.at(-1)!.startMs]).toEqual([0, 63, 999]);
});

test('a stage becomes a row, however it ends', async () => {
  const timeline = new Timeline('room');
  const controller = new AbortController();
  const run = (timeoutMs: number, work: (signal: AbortSignal) => Promise<unknown>, signal?: AbortSignal) =>
    runStage(timeline, { stage: 'tcp', host: 'a:1', timeoutMs, what: 'TCP to a:1', signal }, work).catch(
      (error: unknown) => error,
    );
  const never = () => new Promise(() => {});
  await run(1000, async () => 'done');
  await run(1000, () => Promise.reject(new Error('broken')));
  const overrun = await run(20, never);
  setTimeout(() => controller.abort(new Error('another one was faster')), 5);
  await run(1000, never, controller.signal);
  expect(timeline.spans.map(({ outcome }) => outcome)).toEqual(['ok', 'failed', 'deadline', 'abandoned']);
  expect(timeline.spans.map(({ detail }) => detail)).toEqual([
    undefined,
    'broken',
    'TCP to a:1: deadline of 20 ms passed',
    'TCP to a:1: cancelled',
  ]);
  expect(overrun).toBeInstanceOf(OffhookError);
});

test('work under a deadline is told to stop, and its late result is dropped', async () => {
  let stopped: unknown;
  const late = withDeadline(
    { stage: 'tls', timeoutMs: 10, what: 'TLS with a:1', host: 'a:1', advice: 'Try.' },
    (signal) => {
      signal.addEventListener('abort', () => {
        stopped = signal.reason;
      });
      return new Promise((resolve) => setTimeout(resolve, 40, 'late'));
    },
  );
  await expect(late).rejects.toMatchObject({
    code: 'OFFHOOK_DEADLINE',
    stage: 'tls',
    host: 'a:1',
    advice: 'Try.',
  });
  expect(stopped).toMatchObject({ code: 'OFFHOOK_DEADLINE' });
});

describe('a timeline in a file', () => {
  test('says which schema it has, and which process, server, room and participant it is of', () => {
    const folder = mkdtempSync(join(tmpdir(), 'offhook-timeline-'));
    try {
      const timeline = new Timeline('room');
      saveTimeline(timeline, folder);
      Object.assign(timeline.subject, {
        url: 'ws://127.0.0.1:7880',
        room: 'kitchen',
        identity: 'agent-AJ_1',
        job: 'AJ_1',
      });
      timeline.begin('join').end('ok');
      const [file] = readdirSync(folder);
      expect(JSON.parse(readFileSync(join(folder, file!), 'utf8'))).toMatchObject({
        schemaVersion: 1,
        pid: process.pid,
        name: 'room',
        ...timeline.subject,
        spans: [{ stage: 'join', outcome: 'ok' }],
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

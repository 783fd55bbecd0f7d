import { expect, test } from 'vitest';
import { createLogger, type LogRecord, setLogSink } from '../../src/logging/index.js';
import {
  describeSpan,
  logTimeline,
  renderTimelinePage,
  renderTimelineText,
  summarizeTimeline,
  Timeline,
  type TimelineRecord,
} from '../../src/timeline/index.js';

const record: TimelineRecord = {
  name: 'kitchen',
  startedAt: '2026-11-24T20:00:00.000Z',
  forgotten: 0,
  spans: [
    {
      stage: 'filter-load',
      filter: 'noise',
      startMs: 0,
      endMs: 5000,
      outcome: 'deadline',
      detail: 'on_load has not returned',
    },
    { stage: 'dns', host: 'rooms.test', startMs: 0, endMs: 20, outcome: 'ok', detail: '10.0.0.7' },
    {
      stage: 'tcp',
      host: 'rooms.test:443',
      address: '10.0.0.7:443/tcp',
      startMs: 20,
      endMs: 30,
      outcome: 'failed',
      detail: 'connection refused',
      attempt: 2,
    },
    { stage: 'join', host: 'rooms.test:443', startMs: 30, endMs: 100, outcome: 'ok' },
    { stage: 'reconnect', host: 'rooms.test:443', startMs: 60_000, endMs: 60_500, outcome: 'ok' },
  ],
};

test('as text: a waterfall for each connect and reconnect to its own scale, with the reason of what failed', () => {
  expect(renderTimelineText(record).split('\n')).toEqual([
    'kitchen, since 2026-11-24T20:00:00.000Z',
    '  100 ms',
    `  filter-load noise                            |${'░'.repeat(39)}▶|   5.00 s  deadline   on_load has not returned`,
    `  dns         rooms.test                       |████████${' '.repeat(32)}|    20 ms  ok`,
    `  tcp         10.0.0.7:443/tcp                 |${' '.repeat(8)}░░░░${' '.repeat(28)}|    10 ms  failed     connection refused`,
    `  join        rooms.test:443                   |${' '.repeat(12)}${'█'.repeat(28)}|    70 ms  ok`,
    '  500 ms at +60.00 s',
    `  reconnect   rooms.test:443                   |${'█'.repeat(40)}|   500 ms  ok`,
  ]);
});

test('as a page: self-contained, every text escaped, one row for each step', () => {
  const hostile = { ...record, name: '<script>alert(1)</script>' };
  const page = renderTimelinePage([hostile], {
    title: 'A & B',
    summary: 'What <happened>',
    howToMake: 'npx offhook demo',
    sections: [{ heading: 'Level', html: '<svg width="1" height="1"></svg>' }],
  });
  expect(page).not.toMatch(/<script|https?:|<link|@import/);
  expect(page).toContain('&lt;script&gt;');
  expect(page).toContain('<title>A &amp; B</title>');
  expect(page).toContain('<svg width="1" height="1"></svg>');
  expect(page).toContain('name="viewport"');
  expect(page.match(/<li class="/g)).toHaveLength(record.spans.length);
  expect(page).toMatch(/Made by offhook \d+\.\d+\.\d+: <code>npx offhook demo<\/code>/);
});

test('as log lines: failures are warnings, the others are for debugging', () => {
  const lines: LogRecord[] = [];
  setLogSink((line) => lines.push(line));
  const timeline = new Timeline('room', () => 0);
  const stop = logTimeline(timeline, createLogger('room'));
  timeline.begin('dns', { host: 'rooms.test' }).end('ok', '10.0.0.7');
  timeline.begin('tcp', { host: '10.0.0.7:443', address: '10.0.0.7:443/tcp' }).end('ok');
  Object.assign(timeline.subject, { room: 'kitchen', identity: 'ada' });
  timeline.begin('tcp', { host: 'rooms.test:443', attempt: 2 }).end('deadline', 'too slow');
  stop();
  timeline.begin('tls').end('ok');
  setLogSink(() => {});
  expect(lines).toEqual([
    { level: 'debug', module: 'room', message: 'room: dns rooms.test: ok after 0 ms (10.0.0.7)' },
    { level: 'debug', module: 'room', message: 'room: tcp 10.0.0.7:443/tcp: ok after 0 ms' },
    {
      level: 'warn',
      module: 'room',
      room: 'kitchen',
      identity: 'ada',
      message: 'room: tcp rooms.test:443 (attempt 2): deadline after 0 ms (too slow)',
    },
  ]);
});

test('as one line: the steps that went well', () => {
  expect(summarizeTimeline(record.spans)).toBe('dns 20 ms, join 70 ms, reconnect 500 ms');
  expect(describeSpan(record.spans[0]!)).toBe(
    'filter-load noise: deadline after 5.00 s (on_load has not returned)',
  );
});

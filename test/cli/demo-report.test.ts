import { describe, expect, test } from 'vitest';
import type { CallRecord } from '../../src/cli/demo/call-record.js';
import { renderLevelChart } from '../../src/cli/demo/level-chart.js';
import { renderDemoPage, summarize } from '../../src/cli/demo/page.js';
import {
  agentStep,
  callerStep,
  engineComplaint,
  filterSteps,
  parseJsonLine,
} from '../../src/cli/demo/steps.js';
import { levelsDbfs, readWav } from '../../src/cli/demo/wav.js';
import { makeTone } from '../support/tone.js';

function wavFile(samples: Int16Array, sampleRate: number): Buffer {
  const header = Buffer.alloc(44);
  header.write('RIFF', 0);
  header.writeUInt32LE(36 + samples.byteLength, 4);
  header.write('WAVEfmt ', 8);
  header.writeUInt32LE(16, 16);
  header.writeUInt32LE(sampleRate, 24);
  header.write('data', 36);
  header.writeUInt32LE(samples.byteLength, 40);
  return Buffer.concat([header, Buffer.from(samples.buffer)]);
}

const answered: CallRecord = {
  engine: 'offhook',
  greeted: true,
  firstAudioMs: 640,
  durationMs: 9_000,
  filterBehaviour: 'its on_load never returns',
  steps: [
    { atMs: 0, who: 'caller', what: 'dials' },
    { atMs: 640, who: 'caller', what: 'hears the agent', mark: 'agent heard' },
    { atMs: 5_300, who: 'engine', what: 'declares <b> unavailable', mark: 'filter unavailable' },
  ],
  levels: [null, -20, -30],
  levelStepMs: 50,
  timelines: [],
};
const unanswered: CallRecord = {
  ...answered,
  engine: 'native',
  greeted: false,
  firstAudioMs: undefined,
  durationMs: 15_000,
};

describe('the recording of a call', () => {
  test('is read with its rate and its samples', () => {
    const tone = makeTone(440, 100, 16_000, -20);
    expect(readWav(wavFile(tone.samples, 16_000))).toEqual(tone);
  });

  test('that is not a WAV file is refused', () => {
    expect(() => readWav(Buffer.from('not a recording at all, but long enough to have a header'))).toThrow(
      /WAV/,
    );
    expect(() => readWav(wavFile(new Int16Array(4), 16_000).subarray(0, 36))).toThrow(/WAV/);
  });

  test('has one level for each step', () => {
    const tone = makeTone(440, 200, 16_000, -20);
    tone.samples.fill(0, 0, 1_600);
    const levels = levelsDbfs(tone, 50);
    expect(levels.slice(0, 2)).toEqual([Number.NEGATIVE_INFINITY, Number.NEGATIVE_INFINITY]);
    for (const level of levels.slice(2)) expect(level).toBeCloseTo(-20, 1);
  });
});

describe('the steps of a call', () => {
  test('come from what caller and agent print, on the clock of the call', () => {
    expect(callerStep({ event: 'ringing', atMs: 1_250 }, 1_000)).toMatchObject({ atMs: 250, who: 'caller' });
    expect(agentStep({ time: 1_400, msg: 'agent state', newState: 'speaking' }, 1_000)).toEqual({
      atMs: 400,
      who: 'agent',
      what: 'speaks',
    });
  });

  test('leave out what says nothing of the call', () => {
    expect(callerStep({ event: 'something-else', atMs: 1_250 }, 1_000)).toBeUndefined();
    expect(agentStep({ time: 1_400, msg: 'starting worker' }, 1_000)).toBeUndefined();
    expect(agentStep({ time: 900, msg: 'connected' }, 1_000)).toBeUndefined();
    expect(parseJsonLine('a line of text')).toBeUndefined();
    expect(parseJsonLine('{not json')).toBeUndefined();
  });

  test('take the engine’s warnings from its log lines, and nothing else', () => {
    const line = '2026-11-24T22:33:30.421Z warn  offhook/filters/example: unavailable: no such symbol';
    expect(engineComplaint(line)).toBe('filters/example: unavailable: no such symbol');
    expect(engineComplaint(line.replace('warn', 'info'))).toBeUndefined();
    expect(engineComplaint('{"level":40,"msg":"warn offhook/ something"}')).toBeUndefined();
  });

  test('tell when a filter was declared unavailable', () => {
    const startedAt = new Date(10_000).toISOString();
    const spans = [
      {
        stage: 'filter-load' as const,
        startMs: 0,
        endMs: 5_000,
        outcome: 'deadline' as const,
        filter: 'krisp',
      },
    ];
    const [step] = filterSteps({ name: 'room', startedAt, spans, forgotten: 0 }, 9_800);
    expect(step).toMatchObject({ atMs: 5_200, who: 'engine', mark: 'filter unavailable' });
    expect(step?.what).toContain('krisp');
  });
});

describe('the page of the demo', () => {
  test('tells what happened in a sentence', () => {
    expect(summarize(answered)).toBe('On offhook the caller heard the agent 0.64 s after dialling.');
    expect(summarize(unanswered)).toMatch(/heard nothing and gave up after 15.00 s/);
  });

  test('draws a bar for each audible step and a line for each mark, for a screen and for a phone', () => {
    const svg = renderLevelChart(answered, 10_000);
    expect(svg.match(/<svg /g)).toHaveLength(2);
    expect(svg.match(/<rect x="[\d.]+" y/g)).toHaveLength(2 * 2);
    expect(svg).toContain('agent heard 0.64 s');
    expect(svg).toContain('filter unavailable 5.30 s');
  });

  test('holds everything in one file, and nothing that was said is taken for HTML', () => {
    const page = renderDemoPage([{ record: answered, wav: wavFile(new Int16Array(8), 16_000) }]);
    expect(page).toContain('data:audio/wav;base64,');
    expect(page).not.toMatch(/<script|<link|src="http/);
    expect(page).toContain('declares &lt;b&gt; unavailable');
    expect(page).toContain('npx offhook demo --native');
    expect(page).toMatch(/Made by offhook \d+\.\d+\.\d+: <code>npm run demo/);
  });

  test('shows both engines when both were played', () => {
    const wav = wavFile(new Int16Array(8), 16_000);
    const page = renderDemoPage([
      { record: answered, wav },
      { record: unanswered, wav },
    ]);
    expect(page).toContain('Step by step, on offhook');
    expect(page).toContain('LiveKit’s native engine');
    expect(page).not.toContain('And without offhook?');
  });
});

import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { describeWith } from '../support/parts.js';
import { compilePlugin } from '../support/plugin/compile.mjs';
import { Program } from '../support/program.mjs';
import { makeToken } from '../support/token.mjs';
import { House } from './house.js';

const script = fileURLToPath(new URL('programs/watched.mjs', import.meta.url));

interface Seen {
  spans: { name: string; isChild: boolean }[];
  metricNames: string[];
}

describeWith(['livekit-server', 'cc'], 'an unmodified program that registered OpenTelemetry', () => {
  const house = new House();

  test('sees the steps of its connect as children of its own span, and its filters as metrics', async () => {
    const { server, room } = house;
    const token = await makeToken(server, room, 'ours');
    const program = new Program(script, { engine: 'offhook', args: [server.url, token, compilePlugin()] });
    const { spans, metricNames } = (await program.waitFor('seen')) as unknown as Seen;
    expect(await program.untilEnded()).toBe(0);
    expect(spans.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['offhook.tcp', 'offhook.websocket', 'offhook.join', 'offhook.filter-load']),
    );
    expect(spans.filter(({ isChild }) => !isChild)).toEqual([]);
    expect(metricNames).toContain('offhook.filter.ready');
  });
});

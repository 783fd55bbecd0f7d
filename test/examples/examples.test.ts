import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { Stage } from '../scenes/stage.js';
import { type Engine, Program } from '../support/program.mjs';
import { makeToken } from '../support/token.mjs';

const examples = fileURLToPath(new URL('../../examples', import.meta.url));
const stage = new Stage();

beforeAll(() => stage.open('offhook dev'));
afterAll(() => stage.close());

/** Runs an example to its end; what it printed. */
async function run(name: string, engine: Engine, args: string[]): Promise<string[]> {
  const program = new Program(join(examples, name), { engine, args });
  try {
    expect(await program.untilEnded(25_000), program.output.join('\n')).toBe(0);
    return program.output;
  } finally {
    await program.stop();
  }
}

describe('the examples', () => {
  test.each<Engine>(['offhook', 'native'])(
    'messages.mjs: an RPC, a text and a packet cross, on %s',
    async (engine) => {
      const room = stage.newRoom();
      const [waiter, guest] = await Promise.all([
        makeToken(stage.server, room, 'waiter'),
        makeToken(stage.server, room, 'guest'),
      ]);
      const output = await run('messages.mjs', engine, [stage.server.url, waiter, guest]);
      expect(output).toEqual(
        expect.arrayContaining([
          'the waiter says: soup for guest, coming up',
          'the menu says: soup, bread, soup with bread',
          'the bell says: ding',
        ]),
      );
    },
  );

  test('library.mjs: speaks, hears who is there, and tells how it connected', async () => {
    const room = stage.newRoom();
    const other = await stage.join('native', room, 'other');
    await other.call('publishTone', { hz: 1_000, dbfs: -20 });
    const token = await makeToken(stage.server, room, 'library');
    const output = run('library.mjs', 'native', [stage.server.url, token]);
    await other.waitFor('firstAudible', { identity: 'library' });
    const lines = await output;
    expect(lines.join('\n')).toMatch(/in room .* with other/);
    const levels = lines.flatMap((line) => /^other: (-[\d.]+) dBFS/.exec(line)?.[1] ?? []).map(Number);
    expect(levels.length).toBeGreaterThan(2);
    expect(levels.at(-1)).toBeCloseTo(-20, 0);
    expect(lines.join('\n')).toMatch(/join +127\.0\.0\.1:\d+ .* ok/);
  });

  test('encrypted.mjs: who has the key hears and reads, who has another gets a state and nothing else', async () => {
    const room = stage.newRoom();
    const tokens = await Promise.all(
      ['ada', 'bob', 'eve'].map((identity) => makeToken(stage.server, room, identity)),
    );
    const output = await run('encrypted.mjs', 'native', [stage.server.url, ...tokens]);
    expect(output).toEqual(
      expect.arrayContaining([
        'Bob hears Ada',
        'Bob reads: a secret',
        'Eve cannot read ada: decryptionFailed',
      ]),
    );
    expect(output.join('\n')).not.toMatch(/Eve (hears|reads)/);
  });

  test('video.mjs: two of them see each other', async () => {
    const room = stage.newRoom();
    const tokens = await Promise.all(['ada', 'bob'].map((who) => makeToken(stage.server, room, who)));
    const outputs = await Promise.all(
      tokens.map((token) => run('video.mjs', 'native', [stage.server.url, token])),
    );
    for (const [index, other] of ['bob', 'ada'].entries()) {
      const output = outputs[index]!.join('\n');
      expect(output).toMatch(new RegExp(`${other}: 640 x 360, rgb\\(\\d+, \\d+, \\d+\\) in the middle`));
      expect(Number(new RegExp(`${other}: (\\d+) pictures`).exec(output)?.[1])).toBeGreaterThan(5);
    }
  });

  const tokensOf = (room: string, ...identities: string[]) =>
    Promise.all(identities.map((identity) => makeToken(stage.server, room, identity)));

  test('data-tracks.mjs: frames are read, with the schema that describes them', async () => {
    const tokens = await tokensOf(stage.newRoom(), 'thermometer', 'display');
    const output = await run('data-tracks.mjs', 'native', [stage.server.url, ...tokens]);
    expect(output[0]).toBe('thermometer publishes kitchen as json');
    expect(output[1]).toMatch(/^its frames are \{"type":"object"/);
    expect(output.slice(2)).toHaveLength(3);
    for (const line of output.slice(2)) expect(line).toMatch(/^a frame of \d+ ms ago: \{"celsius":\d+\}$/);
  });

  test('encoded-video.mjs: what the program encodes is seen', async () => {
    const tokens = await tokensOf(stage.newRoom(), 'camera', 'viewer');
    const output = await run('encoded-video.mjs', 'native', [stage.server.url, ...tokens]);
    const lumas = output.flatMap((line) => /sees 320 x 180, luma (\d+)/.exec(line)?.[1] ?? []).map(Number);
    expect(lumas).toHaveLength(5);
    for (const luma of lumas) expect(Math.abs(luma - 125)).toBeLessThan(35);
  });

  test('library.mjs: a wrong token is one line that says so', async () => {
    const program = new Program(join(examples, 'library.mjs'), {
      engine: 'native',
      args: [stage.server.url, 'not-a-token'],
    });
    expect(await program.untilEnded()).toBe(1);
    expect(program.output.join('\n')).toMatch(/token.*OFFHOOK_/i);
  });

  test('are all named in the README of their folder', () => {
    const readme = readFileSync(join(examples, 'README.md'), 'utf8');
    for (const name of readdirSync(examples)) {
      if (name.endsWith('.mjs')) expect(readme).toContain(name);
    }
  });
});

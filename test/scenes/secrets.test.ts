import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, expect, test } from 'vitest';
import { startParticipant } from '../support/program.mjs';
import { makeToken } from '../support/token.mjs';
import { describeOnServers } from './stage.js';

const cli = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));

/** Everything that `offhook doctor` prints. */
async function runDoctor(...args: string[]): Promise<string> {
  const { LIVEKIT_API_KEY, LIVEKIT_API_SECRET, ...env } = process.env;
  const child = spawn(process.execPath, [cli, 'doctor', ...args], { env });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', (chunk) => {
      output += String(chunk);
    });
  }
  await new Promise((resolve) => child.once('close', resolve));
  return output;
}

/** Pieces of 12 characters of the token that are in `text`, but for those of the header, which are in every token. */
function fragmentsIn(text: string, token: string): string[] {
  const secret = token.slice(token.indexOf('.') + 1);
  const pieces = Array.from({ length: Math.max(1, secret.length - 11) }, (_, i) => secret.slice(i, i + 12));
  return [...new Set(pieces)].filter((piece) => text.includes(piece)).slice(0, 3);
}

describeOnServers('what the engine says of itself', (stage) => {
  afterEach(() => stage.clear());

  test('never holds the access token, even at the level debug', async () => {
    const program = startParticipant('offhook', { OFFHOOK_LOG: 'debug' });
    try {
      await program.waitFor('started');
      const token = await makeToken(stage.server, stage.newRoom(), 'alice');
      await program.call('connect', { url: stage.server.url, token });
      await program.call('publishTone', { hz: 440 });
      await program.call('disconnect');
      const said = program.output.join('\n');
      expect(said).toMatch(/join/);
      expect(said).not.toContain(token);
      expect(said).not.toContain(token.split('.')[2]);
    } finally {
      await program.stop();
    }
  });

  test('holds nothing of a token that the server refuses and repeats', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'offhook-secrets-'));
    const program = startParticipant('offhook', { OFFHOOK_LOG: 'debug', OFFHOOK_TIMELINE: folder });
    try {
      await program.waitFor('started');
      // So long that the server's answer is cut within it.
      const wrong = { ...stage.server, apiSecret: 'not the secret of the server, but as long as one' };
      const metadata = 'm'.repeat(3_000);
      const tokens = [
        await makeToken(wrong, stage.newRoom(), 'alice'),
        await makeToken(wrong, stage.newRoom(), `alice-${metadata}`),
        'no-web-token-at-all-but-a-secret',
      ];
      for (const token of tokens) {
        const failure = await program
          .call('connect', { url: stage.server.url, token })
          .then(() => 'connected', String);
        expect(failure).toMatch(/OFFHOOK_UNAUTHORIZED/);
        const page = join(folder, 'doctor.html');
        const words = await runDoctor(stage.server.url, '--token', token, '--html', page);
        const json = await runDoctor(stage.server.url, '--token', token, '--json');
        const files = readdirSync(folder).map((file) => readFileSync(join(folder, file), 'utf8'));
        expect(files.length).toBeGreaterThan(1);
        for (const text of [failure, program.output.join('\n'), words, json, ...files]) {
          expect(fragmentsIn(text, token)).toEqual([]);
        }
      }
      expect(program.output.join('\n')).toMatch(/refused the access token/);
    } finally {
      await program.stop();
      rmSync(folder, { recursive: true });
    }
  }, 60_000);
});

import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { Program } from '../support/program.mjs';
import { signToken } from './signal-peer.js';

const script = fileURLToPath(new URL('programs/server-and-program.mjs', import.meta.url));

test('a room server and a program on the engine live in one process', async () => {
  const grant = { roomJoin: true, room: 'one process' };
  const tokens = await Promise.all(['ada', 'bob'].map((identity) => signToken(identity, grant)));
  const program = new Program(script, { engine: 'offhook', args: tokens });
  try {
    await program.waitFor('heard');
    await program.waitFor('closed');
    expect(await program.ended).toBe(0);
  } finally {
    await program.stop();
  }
});

import { afterEach, expect, test } from 'vitest';
import { startParticipant } from '../support/program.mjs';
import { makeToken } from '../support/token.mjs';
import { describeOnServers } from './stage.js';

describeOnServers('what the engine says of itself', (stage) => {
  afterEach(() => stage.clear());

  test('never holds the access token, even at the level trace', async () => {
    const program = startParticipant('offhook', { OFFHOOK_LOG: 'trace' });
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
});

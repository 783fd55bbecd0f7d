import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RoomServer, startServer } from '../../src/server/index.js';
import { lostAfterReconnects } from '../support/full-reconnects.mjs';
import { describeWith } from '../support/parts.js';

// `node bench/reconnects.mjs` does this a hundred times, on livekit-server too.
describeWith(['native engine'], 'a listener on the native engine', () => {
  let server: RoomServer;

  beforeAll(async () => {
    server = await startServer({ port: 0 });
  });
  afterAll(() => server.close());

  test.each([
    ['two peer connections', false],
    ['one peer connection', true],
  ])(
    'hears the speaker after each full reconnect of either, on %s',
    async (room, singlePeerConnection) => {
      const access = { url: server.url, apiKey: 'devkey', apiSecret: 'secret' };
      expect(await lostAfterReconnects(access, room, 6, { singlePeerConnection })).toEqual([]);
    },
    180_000,
  );
});

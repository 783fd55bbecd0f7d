import { afterAll, beforeAll, expect, test } from 'vitest';
import type { DataTrackFrame, Room, RoomEvents } from '../../src/index.js';
import { startServer } from '../../src/server/index.js';
import { startLivekitServer } from '../support/livekit-server.mjs';
import { describeWith } from '../support/parts.js';
import { makeToken } from '../support/token.mjs';
import { offhook } from './engine-of-the-package.js';

const servers = {
  'the room server': async () => {
    const server = await startServer({ port: 0 });
    return { url: server.url, apiKey: 'devkey', apiSecret: 'secret', stop: () => server.close() };
  },
  'livekit-server': startLivekitServer,
};
const frame = (count: number): DataTrackFrame => ({
  payload: new TextEncoder().encode(`{"count":${count}}`),
  userTimestamp: 2n ** 64n - 1n - BigInt(count),
});
/** The livekit-server of the tests neither answers requests for schemas nor passes on what encoding frames have. */
const schema = { name: 'counter', encoding: 'jsonSchema' } as const;

for (const [name, start] of Object.entries(servers)) {
  describeWith(['livekit-server'], `data tracks of the library, through ${name}`, () => {
    const hasSchemas = name === 'the room server';
    let server: { url: string; apiKey: string; apiSecret: string; stop(): Promise<unknown> };
    const rooms: Room[] = [];
    let ada: Room;
    let bob: Room;

    async function join(identity: string): Promise<Room> {
      const room = new offhook.Room({ name: identity });
      rooms.push(room);
      await room.connect(server.url, await makeToken(server, 'tracks', identity));
      return room;
    }
    const next = <Name extends keyof RoomEvents>(room: Room, event: Name): Promise<RoomEvents[Name]> =>
      new Promise((resolve) => room.once(event, resolve));

    beforeAll(async () => {
      server = await start();
      ada = await join('ada');
      bob = await join('bob');
    });
    afterAll(async () => {
      await Promise.all(rooms.map((room) => room.disconnect()));
      await server?.stop();
    });

    test('are read frame by frame, until they are unpublished', async () => {
      const found = next(bob, 'dataTrackPublished');
      if (hasSchemas) await ada.localParticipant.defineSchema(schema, '{"type":"object"}');
      const track = await ada.localParticipant.publishDataTrack({
        name: 'counter',
        schema,
        frameEncoding: 'json',
      });
      expect(track.isPublished).toBe(true);
      const { track: remote, participant } = await found;
      expect(participant.identity).toBe('ada');
      expect(remote.info).toEqual(track.info);
      expect(remote.info).toMatchObject({ name: 'counter', isEncrypted: false });
      if (hasSchemas) expect(remote.info).toMatchObject({ schema, frameEncoding: 'json' });
      expect(participant.dataTracks.get(remote.info.sid)).toBe(remote);
      if (hasSchemas) expect(await bob.localParticipant.getSchema(schema, 'ada')).toBe('{"type":"object"}');

      let count = 0;
      const pushing = setInterval(() => track.push(frame(count++)), 20);
      const unpublished = next(bob, 'dataTrackUnpublished');
      let previous = -1;
      let read = 0;
      for await (const { payload, userTimestamp } of remote.frames()) {
        const { count: number } = JSON.parse(new TextDecoder().decode(payload));
        expect(userTimestamp).toBe(frame(number).userTimestamp);
        expect(number).toBeGreaterThan(previous);
        previous = number;
        if (++read !== 5) continue;
        clearInterval(pushing);
        track.unpublish();
      }
      expect(read).toBeGreaterThanOrEqual(5);
      expect((await unpublished).track).toBe(remote);
      expect([track.isPublished, remote.isPublished, participant.dataTracks.size]).toEqual([false, false, 0]);
      expect(() => track.push(frame(0))).toThrow(expect.objectContaining({ code: 'OFFHOOK_CLOSED' }));
      await expect(remote.frames().next()).rejects.toMatchObject({ code: 'OFFHOOK_CLOSED' });
    });

    test('end with the signal of who reads them', async () => {
      const found = next(bob, 'dataTrackPublished');
      using track = await ada.localParticipant.publishDataTrack({
        name: 'quiet',
        frameEncoding: { custom: 'x' },
      });
      const { track: remote } = await found;
      if (hasSchemas) expect(remote.info.frameEncoding).toEqual({ custom: 'x' });
      const controller = new AbortController();
      const reading = remote.frames({ signal: controller.signal }).next();
      const reason = new Error('that was long enough');
      controller.abort(reason);
      await expect(reading).rejects.toBe(reason);
      await expect(remote.frames({ signal: controller.signal }).next()).rejects.toBe(reason);
      expect(track.isPublished).toBe(true);
    });

    test('that cannot be published are an error that says why', async () => {
      const { localParticipant: me } = ada;
      using _track = await me.publishDataTrack({ name: 'once' });
      const refused = { code: 'OFFHOOK_INVALID_REQUEST' };
      await expect(me.publishDataTrack({ name: 'once' })).rejects.toMatchObject(refused);
      await expect(me.publishDataTrack({ name: 'x', schema })).rejects.toThrow(/needs the encoding/);
      await expect(me.publishDataTrack({ name: '' })).rejects.toThrow(/name is ""/);
      await expect(me.publishDataTrack({ name: 'x', frameEncoding: 'xml' as 'json' })).rejects.toThrow(
        /frameEncoding is "xml"/,
      );
      await expect(me.publishDataTrack({ name: 'x', topic: 'y' } as { name: string })).rejects.toThrow(
        /no option "topic"/,
      );
      expect(() => _track.push({ payload: 'text' as unknown as Uint8Array })).toThrow(/payload is "text"/);
      expect(() => _track.push({ ...frame(0), userTimestamp: -1n })).toThrow(/userTimestamp is -1/);
    });
  });
}

import { RoomServiceClient } from 'livekit-server-sdk';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startServer } from '../../src/server/index.js';
import { type ConnectOptions, Room } from '../support/engine.js';
import { startLivekitServer } from '../support/livekit-server.mjs';
import { describeWith } from '../support/parts.js';
import { makeToken } from '../support/token.mjs';

interface Server {
  url: string;
  apiKey: string;
  apiSecret: string;
  stop(): Promise<void>;
}

const moments = 60;
/** Servers keep a participant whose signal connection broke for 15 s. */
const goneWithinMs = 6_000;

const untilMs = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

function leavesNobody(start: () => Promise<Server>): void {
  let server: Server;
  let api: RoomServiceClient;
  beforeAll(async () => {
    server = await start();
    api = new RoomServiceClient(server.url.replace('ws', 'http'), server.apiKey, server.apiSecret);
    // A room is opened for the first time: what is measured below is a server that is warm.
    await joinAndLeave('warm', async (room) => void (await room.disconnect()), {});
  });
  afterAll(() => server?.stop());

  async function joinAndLeave(
    name: string,
    leave: (room: Room) => Promise<void>,
    options: ConnectOptions,
  ): Promise<string> {
    const room = new Room();
    const token = await makeToken(server, name, name);
    const connecting = room.connect(server.url, token, { iceServers: [], ...options }).then(
      () => 'joined',
      (error) => String(error.code),
    );
    await leave(room);
    const outcome = await connecting;
    // It came in before it was given up: what is tested is the other case.
    if (outcome === 'joined') await room.disconnect();
    return outcome;
  }

  /** The rooms of `names` in which the server still has somebody. */
  async function haunted(names: readonly string[]): Promise<string[]> {
    const rooms = await api.listRooms([...names]);
    const present = await Promise.all(
      rooms.map(async ({ name }) => ((await api.listParticipants(name)).length > 0 ? [name] : [])),
    );
    return present.flat();
  }

  it.each(['one', 'two'])('given up at any moment of joining, with %s peer connections', async (count) => {
    const singlePeerConnection = count === 'one';
    const names = Array.from({ length: moments }, (_, i) => `${count}-${i}`);
    const outcomes = new Set<string>();
    for (const [i, name] of names.entries()) {
      const controller = new AbortController();
      const abort = async () => {
        await untilMs(i / 4);
        controller.abort();
      };
      const leave = async (room: Room) =>
        i % 2 === 0 ? abort() : untilMs(i / 4).then(() => room.disconnect());
      const options = { singlePeerConnection, signal: controller.signal };
      outcomes.add(await joinAndLeave(name, leave, options));
    }
    expect(outcomes).toContain('OFFHOOK_ABORTED');
    await expect.poll(() => haunted(names), { timeout: goneWithinMs }).toEqual([]);
  });

  it('whose deadline passes at any moment of joining', async () => {
    const names = Array.from({ length: moments }, (_, i) => `late-${i}`);
    const outcomes = new Set<string>();
    for (const [i, name] of names.entries())
      outcomes.add(await joinAndLeave(name, async () => {}, { deadlines: { connect: 1 + i / 4 } }));
    expect(outcomes).toContain('OFFHOOK_DEADLINE');
    await expect.poll(() => haunted(names), { timeout: goneWithinMs }).toEqual([]);
  });

  it('that waits for media which does not come', async () => {
    const iceTransportPolicy = 'relay';
    const outcome = await joinAndLeave('no media', async () => {}, {
      iceTransportPolicy,
      waitFor: 'media',
      deadlines: { connect: 500 },
    });
    expect(outcome).toBe('OFFHOOK_DEADLINE');
    await expect.poll(() => haunted(['no media']), { timeout: goneWithinMs }).toEqual([]);
  });
}

describe('offhook dev keeps no participant of a connect', () =>
  leavesNobody(async () => {
    const { url, close } = await startServer({ port: 0 });
    return { url, apiKey: 'devkey', apiSecret: 'secret', stop: () => close() };
  }));

describeWith(['livekit-server'], 'livekit-server keeps no participant of a connect', () =>
  leavesNobody(startLivekitServer),
);

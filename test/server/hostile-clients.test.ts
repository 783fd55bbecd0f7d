import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { AddTrackRequest } from '@livekit/protocol';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ServerProcess } from '../support/server-process.js';
import { joinStatus, SignalPeer, signClaims, signToken } from './signal-peer.js';

let server: ServerProcess;
let witness: SignalPeer;

beforeAll(async () => {
  server = await ServerProcess.start({ resumeWindowMs: 500, departureTimeoutS: 0.5 });
  witness = await SignalPeer.join(server.url, 'calm', 'witness');
});
afterAll(async () => {
  witness.close();
  await server.stop();
});

const port = () => Number(new URL(server.url).port);
const times = <Value>(count: number, act: (i: number) => Promise<Value>) =>
  Promise.all(Array.from({ length: count }, (_, i) => act(i)));

async function openTcp(text: string): Promise<Socket> {
  const socket = connect(port(), '127.0.0.1');
  socket.on('error', () => {});
  await once(socket, 'connect');
  socket.write(text);
  return socket;
}

const attacks: [string, () => Promise<unknown>][] = [
  [
    'half-open and dripping connections',
    async () => {
      const sockets = await times(100, (i) => openTcp(i % 2 === 0 ? '' : 'GET /rtc HTTP/1.1\r\nHost: '));
      for (let i = 0; i < 10; i++) {
        for (const socket of sockets) socket.write('x');
        await delay(50);
      }
      for (const socket of sockets) socket.destroy();
    },
  ],
  [
    'forged, expired and foreign tokens',
    async () => {
      const video = { roomJoin: true, room: 'calm' };
      const tokens = [
        await signToken('a', video, { secret: 'wrong' }),
        await signClaims({ sub: 'a', video, exp: 1 }),
        await signClaims({ sub: 'a', video: { roomJoin: true } }),
        'x.y.z',
        '',
      ];
      const statuses = await times(200, (i) => joinStatus(server.url, tokens[i % tokens.length]!));
      expect(new Set(statuses)).toEqual(new Set([400, 401]));
    },
  ],
  [
    'joins that end at once',
    async () => {
      for (let round = 0; round < 10; round++) {
        await times(10, async (i) => (await SignalPeer.join(server.url, `rush ${i % 5}`, `m${i}`)).drop());
      }
    },
  ],
  [
    'clients that do not read',
    async () => {
      const slow = await times(4, (i) =>
        SignalPeer.join(server.url, 'slow', `s${i}`, { canUpdateOwnMetadata: true }),
      );
      for (const peer of slow) peer.pause();
      for (let i = 0; i < 60; i++) {
        const change = { metadata: 'm'.repeat(30_000), name: `${i}`, attributes: {}, requestId: 0 };
        for (const peer of slow) peer.send({ case: 'updateMetadata', value: change as never });
        await delay(5);
      }
      await delay(500);
      for (const peer of slow) peer.drop();
    },
  ],
  [
    'oversized messages and thousands of tracks',
    async () => {
      const large = await SignalPeer.join(server.url, 'large', 'large');
      large.sendRaw(Buffer.alloc(2_000_000));
      await large.closed;
      const many = await SignalPeer.join(server.url, 'large', 'many');
      for (let i = 0; i < 2_000; i++) {
        many.send({ case: 'addTrack', value: new AddTrackRequest({ cid: `c${i}` }) });
      }
      await many.next('requestResponse');
      many.drop();
    },
  ],
  [
    'garbage from thousands of ports',
    async () => {
      for (let round = 0; round < 20; round++) {
        const sockets = Array.from({ length: 100 }, () => createSocket('udp4'));
        for (const socket of sockets) {
          for (const first of [0, 20, 23, 64, 128, 255]) {
            socket.send(Buffer.alloc(200, first), server.rtcPort, '127.0.0.1', () => {});
          }
        }
        await delay(20);
        for (const socket of sockets) socket.close();
      }
    },
  ],
];

/** Runs an attack; returns the longest that a well-behaved client waited for an answer meanwhile. */
async function worstAnswerMs(attack: () => Promise<unknown>): Promise<number> {
  let running = true;
  const done = attack().finally(() => {
    running = false;
  });
  let worstMs = 0;
  do {
    worstMs = Math.max(worstMs, await witness.settled(60_000));
    await delay(20);
  } while (running);
  await done;
  return worstMs;
}

test.each(attacks)('%s keep nobody else waiting', async (_what, attack) => {
  expect(await worstAnswerMs(attack)).toBeLessThan(1_000);
  expect(server.isRunning).toBe(true);
});

test('what all of them used is free again', async () => {
  // Code that was compiled and pools that were filled by the attacks above stay; what each attack costs must not.
  await delay(2_000);
  const before = await server.memory();
  for (const [, attack] of attacks) await attack();
  await expect
    .poll(async () => (await server.memory()).usedBytes / before.usedBytes, {
      timeout: 20_000,
      interval: 500,
    })
    .toBeLessThan(1.2);
}, 90_000);

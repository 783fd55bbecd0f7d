import { DisconnectReason, JoinResponse, LeaveRequest, ReconnectReason } from '@livekit/protocol';
import { expect, test, vi } from 'vitest';
import { SignalClient } from '../../src/signal/index.js';
import { hasRegions, maxAgeMs } from '../../src/signal/regions.js';
import { preferred } from '../../src/signal/url-race.js';
import { freeTcpPort } from '../support/livekit-server.mjs';
import { type FakeServerOptions, fakeServer, say, silentServer } from './fake-server.js';
import { failureOf, optionsFor } from './open.js';
import { track } from './track.js';

const room = async (options?: FakeServerOptions) =>
  track(await fakeServer((socket) => say(socket, { case: 'join', value: new JoinResponse() }), options));
const mute = async () => track(await fakeServer(() => {}));

test('a first URL that is mute costs the delay, and its socket is freed', async () => {
  const silent = track(await silentServer());
  const good = await room();
  const options = optionsFor([silent.url, good.url]);
  const client = track(await SignalClient.open(options));
  expect(client.url).toBe(good.url);
  expect(options.timeline.elapsedMs()).toBeLessThan(300 + 500);
  await vi.waitFor(async () => expect(await silent.connections()).toBe(0), 5_000);
  const [first] = options.timeline.spans.filter(({ stage }) => stage === 'websocket');
  expect(first).toMatchObject({ outcome: 'abandoned', attempt: 1 });
});

test('a URL that is given twice is tried once', async () => {
  const refused = `ws://127.0.0.1:${await freeTcpPort()}`;
  const options = optionsFor([refused, refused]);
  expect(await failureOf(options)).toMatchObject({ stage: 'tcp' });
  expect(options.timeline.spans).toHaveLength(1);
});

test('a first URL that refuses costs nothing', async () => {
  const good = await room();
  const client = track(
    await SignalClient.open(optionsFor([`ws://127.0.0.1:${await freeTcpPort()}`, good.url])),
  );
  expect(client.url).toBe(good.url);
});

test('a server that has accepted the WebSocket is not raced, so that nobody joins twice', async () => {
  const first = track(
    await fakeServer((socket) => {
      setTimeout(() => say(socket, { case: 'join', value: new JoinResponse() }), 500);
    }),
  );
  const second = await room();
  const client = track(await SignalClient.open(optionsFor([first.url, second.url])));
  expect(client.url).toBe(first.url);
  expect(second.upgrades).toEqual([]);
});

test('a WebSocket that stays mute gives way to the next URL at its deadline', async () => {
  const options = optionsFor([(await mute()).url, (await room()).url]);
  options.deadlines.join = 150;
  const client = track(await SignalClient.open(options));
  expect(client.url).toBe(options.urls[1]);
});

test('a candidate has no more time than its own deadline, and the error names the stage it hung in', async () => {
  const options = optionsFor((await mute()).url);
  options.deadlines.candidateUrl = 200;
  const failure = await failureOf(options);
  expect(failure).toMatchObject({ code: 'OFFHOOK_DEADLINE', stage: 'join' });
  expect(options.timeline.elapsedMs()).toBeLessThan(200 + 250);
});

test('when no server can be joined, the error is the one that says most, and its message has every failure', async () => {
  const refusing = track(
    await fakeServer((socket) =>
      say(socket, { case: 'leave', value: new LeaveRequest({ reason: DisconnectReason.JOIN_FAILURE }) }),
    ),
  );
  const failure = await failureOf(optionsFor([`ws://127.0.0.1:${await freeTcpPort()}`, refusing.url]));
  expect(failure).toMatchObject({ code: 'OFFHOOK_SERVER_REFUSED', stage: 'join' });
  expect(failure.message).toContain('ECONNREFUSED');
  expect(failure.message).toContain('JOIN_FAILURE');
});

test('a server that refuses a resume decides: the others are not asked', async () => {
  const resume = { participantSid: 'PA_1', reason: ReconnectReason.RR_SIGNAL_DISCONNECTED };
  const leave = new LeaveRequest({ reason: DisconnectReason.STATE_MISMATCH });
  const refusing = track(await fakeServer((socket) => say(socket, { case: 'leave', value: leave })));
  const other = await room();
  const failure = await failureOf(optionsFor([refusing.url, other.url], undefined, { resume }));
  expect(failure.cause).toEqual(leave);
  expect(other.upgrades).toEqual([]);
});

test('URLs that failed lately are tried last', () => {
  expect(preferred(['a', 'b', 'c'], new Set(['a', 'x']))).toEqual(['b', 'c', 'a']);
});

/** A server that lists `regions` at /settings/regions. */
async function regionList(regions: string[], asked: (string | undefined)[] = []) {
  return room({
    answer: (request, response) => {
      asked.push(request.headers.authorization);
      response.setHeader('cache-control', 'public, max-age=60');
      response.end(
        JSON.stringify({
          regions: regions.map((url, distance) => ({ region: url, url, distance })),
          more: 1,
        }),
      );
    },
  });
}

test('when the server is dead its regions are tried in order, and their list is kept', async () => {
  const asked: (string | undefined)[] = [];
  const good = await room();
  const deadRegion = `ws://127.0.0.1:${await freeTcpPort()}`;
  const list = await regionList([deadRegion, good.url], asked);
  const regionsUrl = `http://127.0.0.1:${list.port}/settings/regions`;
  const dead = `ws://127.0.0.1:${await freeTcpPort()}`;
  for (let round = 0; round < 2; round++) {
    const client = track(await SignalClient.open(optionsFor(dead, 'a.b.c', { regionsUrl })));
    expect(client.url).toBe(good.url);
  }
  expect(asked).toEqual(['Bearer a.b.c']);
});

test('a region that failed lately is passed over for the next', async () => {
  const [first, second] = [await room(), await room()];
  const list = await regionList([first.url, second.url]);
  const regionsUrl = `http://127.0.0.1:${list.port}/settings/regions`;
  const dead = `ws://127.0.0.1:${await freeTcpPort()}`;
  const client = track(
    await SignalClient.open(optionsFor(dead, undefined, { regionsUrl, avoid: new Set([first.url]) })),
  );
  expect(client.url).toBe(second.url);
  expect(first.upgrades).toEqual([]);
});

test('a region list that is mute or broken harms nothing', async () => {
  const silent = track(await silentServer());
  const good = await room();
  track(
    await SignalClient.open(
      optionsFor(good.url, undefined, { regionsUrl: `http://127.0.0.1:${silent.port}/` }),
    ),
  );
  await vi.waitFor(async () => expect(await silent.connections()).toBe(0), 5_000);

  const dead = `ws://127.0.0.1:${await freeTcpPort()}`;
  const broken = await room({ answer: (_, response) => response.end('<html>') });
  const regionsUrl = `http://127.0.0.1:${broken.port}/`;
  expect(await failureOf(optionsFor(dead, undefined, { regionsUrl }))).toMatchObject({ stage: 'tcp' });
});

test('servers of LiveKit Cloud have regions, others have none', () => {
  expect(
    ['wss://a.livekit.cloud', 'wss://a.b.livekit.run', 'wss://livekit.cloud.example', 'ws://127.0.0.1'].map(
      (url) => hasRegions(new URL(url)),
    ),
  ).toEqual([true, true, false, false]);
  expect([
    maxAgeMs('public, max-age=300'),
    maxAgeMs('MAX-AGE=0'),
    maxAgeMs('no-store'),
    maxAgeMs(undefined),
  ]).toEqual([300_000, 0, undefined, undefined]);
});

import { JoinResponse } from '@livekit/protocol';
import { expect, test } from 'vitest';
import { defaultDeadlinesMs } from '../../src/deadlines/index.js';
import { findInHosts } from '../../src/signal/hosts-file.js';
import { SignalClient } from '../../src/signal/index.js';
import { deadAddress } from './dead-address.js';
import { fakeServer, say } from './fake-server.js';
import { nameServer } from './name-server.js';
import { failureOf, optionsFor } from './open.js';
import { track } from './track.js';

const server = async () =>
  track(await fakeServer((socket) => say(socket, { case: 'join', value: new JoinResponse() })));
const rows = (options: ReturnType<typeof optionsFor>) =>
  options.timeline.spans.map(({ stage, outcome, address }) =>
    [stage, outcome, address].filter(Boolean).join(' '),
  );

test('a name is resolved by the name servers, and the row of dns says to what', async () => {
  const { port } = await server();
  const dns = track(await nameServer({ 'rooms.test': { addresses: ['127.0.0.1'] } }));
  const options = optionsFor(`ws://rooms.test:${port}`, undefined, { nameServers: [dns.server] });
  track(await SignalClient.open(options));
  expect(dns.questions.sort()).toEqual(['A rooms.test', 'AAAA rooms.test']);
  expect(options.timeline.spans[0]).toMatchObject({ stage: 'dns', outcome: 'ok', detail: '127.0.0.1' });
  expect(rows(options)[1]).toBe(`tcp ok 127.0.0.1:${port}/tcp`);
});

test('an unanswered question for IPv6 holds up an IPv4 address for a moment only', async () => {
  const { port } = await server();
  const dns = track(await nameServer({ 'rooms.test': { addresses: ['127.0.0.1'], silent: ['AAAA'] } }));
  const options = optionsFor(`ws://rooms.test:${port}`, undefined, { nameServers: [dns.server] });
  track(await SignalClient.open(options));
  expect(options.timeline.elapsedMs()).toBeLessThan(800);
});

test('name servers that say nothing are named at the deadline', async () => {
  const dns = track(await nameServer({ 'rooms.test': { addresses: [], silent: ['A', 'AAAA'] } }));
  const deadlines = { ...defaultDeadlinesMs, dns: 150 };
  const options = optionsFor('ws://rooms.test:1', undefined, { nameServers: [dns.server], deadlines });
  const failure = await failureOf(options);
  expect(failure).toMatchObject({ code: 'OFFHOOK_DEADLINE', stage: 'dns', host: 'rooms.test' });
  expect(options.timeline.elapsedMs()).toBeLessThan(400);
});

test('a name that does not exist is named', async () => {
  const dns = track(await nameServer({}));
  const options = optionsFor('ws://nowhere.invalid:1', undefined, { nameServers: [dns.server] });
  expect(await failureOf(options)).toMatchObject({
    code: 'OFFHOOK_UNREACHABLE',
    stage: 'dns',
    host: 'nowhere.invalid',
  });
});

test.skipIf(process.platform !== 'linux')(
  'one dead address of two costs the delay between attempts',
  async () => {
    const { port } = await server();
    track(await deadAddress('127.0.0.77', port));
    const dns = track(await nameServer({ 'rooms.test': { addresses: ['127.0.0.77', '127.0.0.1'] } }));
    const options = optionsFor(`ws://rooms.test:${port}`, undefined, { nameServers: [dns.server] });
    track(await SignalClient.open(options));
    expect(rows(options).slice(1, 3)).toEqual([
      `tcp abandoned 127.0.0.77:${port}/tcp`,
      `tcp ok 127.0.0.1:${port}/tcp`,
    ]);
    expect(options.timeline.elapsedMs()).toBeLessThan(500 + 250);
  },
);

test('when no address can be reached, each is named', async () => {
  const { port, close } = await server();
  await close();
  const dns = track(await nameServer({ 'rooms.test': { addresses: ['127.0.0.1', '127.0.0.2'] } }));
  const failure = await failureOf(
    optionsFor(`ws://rooms.test:${port}`, undefined, { nameServers: [dns.server] }),
  );
  expect(failure).toMatchObject({ code: 'OFFHOOK_UNREACHABLE', stage: 'tcp', host: `rooms.test:${port}` });
  expect(failure.message).toContain('(127.0.0.1): connection refused');
  expect(failure.message).toContain('(127.0.0.2): connection refused');
});

test('localhost and the hosts file need no name server', async () => {
  const { port } = await server();
  track(
    await SignalClient.open(
      optionsFor(`ws://localhost:${port}`, undefined, { nameServers: ['127.0.0.1:1'] }),
    ),
  );
  const text =
    '# a comment\n127.0.0.1 localhost\n10.0.0.7\tRooms.test rooms # ours\nfe80::1 rooms.test\nnonsense rooms.test\n';
  expect(findInHosts(text, 'rooms.TEST')).toEqual(['10.0.0.7', 'fe80::1']);
  expect(findInHosts(text, 'ours')).toEqual([]);
});

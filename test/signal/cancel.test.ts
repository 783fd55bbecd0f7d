import { readdirSync } from 'node:fs';
import { JoinResponse, ReconnectReason } from '@livekit/protocol';
import { expect, test, vi } from 'vitest';
import { OffhookError } from '../../src/errors/index.js';
import { SignalClient } from '../../src/signal/index.js';
import { fakeServer, heardOn, say, silentServer } from './fake-server.js';
import { nameServer } from './name-server.js';
import { failureOf, optionsFor } from './open.js';
import { track } from './track.js';

const openSockets = () =>
  process.getActiveResourcesInfo().filter((name) => /^(TCP|UDP|TLS|Query|GetAddr)/.test(name)).length;
const descriptors = () => (process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0);

test('connecting that is cancelled at any moment leaves no socket, question or descriptor', async () => {
  const good = track(
    await fakeServer((socket) => {
      setTimeout(() => say(socket, { case: 'join', value: new JoinResponse() }), Math.random() * 5);
    }),
  );
  const silent = track(await silentServer());
  const dns = track(
    await nameServer({
      'good.test': { addresses: ['127.0.0.1'] },
      'mute.test': { addresses: [], silent: ['A', 'AAAA'] },
    }),
  );
  const urls = [
    good.url,
    silent.url,
    `ws://good.test:${good.port}`,
    'ws://mute.test:1',
    `wss://127.0.0.1:${silent.port}`,
  ];
  const before = { sockets: openSockets(), descriptors: descriptors() };
  for (let round = 0; round < 200; round++) {
    const controller = new AbortController();
    const options = optionsFor(urls.slice(round % urls.length), undefined, {
      abort: controller.signal,
      nameServers: [dns.server],
      deadlines: { ...optionsFor('').deadlines, nextUrlAfter: 3 },
    });
    const opening = SignalClient.open(options).then(
      (client) => client.close(),
      () => {},
    );
    setTimeout(() => controller.abort(), Math.random() * 10);
    await opening;
  }
  await vi.waitFor(() => {
    expect(openSockets()).toBeLessThanOrEqual(before.sockets);
    expect(descriptors()).toBeLessThanOrEqual(before.descriptors + 2);
  }, 5_000);
  expect(await silent.connections()).toBe(0);
});

test.each([
  { what: 'a join', heard: ['leave', 'closed'] },
  { what: 'a resume that is tried again', resumes: true, heard: ['closed'] },
  { what: 'a resume, by leaving the room', resumes: true, leaves: true, heard: ['leave', 'closed'] },
])('a server that is given up over $what is told what it must know', async ({ resumes, leaves, heard }) => {
  const said: string[] = [];
  const controller = new AbortController();
  const server = track(
    await fakeServer((socket) => {
      heardOn(socket, ({ case: kind = '' }) => {
        said.push(kind);
        if (kind === 'leave') socket.close();
      });
      socket.on('close', () => said.push('closed'));
      controller.abort(new OffhookError(leaves ? 'OFFHOOK_CLOSED' : 'OFFHOOK_DEADLINE', 'given up'));
    }),
  );
  const resume = { participantSid: 'PA_1', reason: ReconnectReason.RR_SIGNAL_DISCONNECTED };
  const options = { abort: controller.signal, ...(resumes && { resume }) };
  await failureOf(optionsFor(server.url, undefined, options));
  await vi.waitFor(() => expect(said).toEqual(heard), 5_000);
});

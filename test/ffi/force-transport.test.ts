import type { AddressInfo } from 'node:net';
import { connect as connectTcp } from 'node:net';
import { createServer, type Server } from 'node:tls';
import { SimulateScenarioKind } from '@livekit/rtc-ffi-bindings/proto/room_pb.js';
import { IceCandidateType } from '@livekit/rtc-ffi-bindings/proto/stats_pb.js';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { generateCertificate } from '../../src/transport/index.js';
import { describeWith } from '../support/parts.js';
import { turnCredentials } from '../support/turn.js';
import { House } from './house.js';
import { ProtocolRoom } from './protocol-room.js';

const { certificate } = vi.hoisted(() => ({ certificate: { pem: '' } }));
// Which authorities are trusted is read when a process starts (NODE_EXTRA_CA_CERTS); the test's own comes later.
vi.mock(import('node:tls'), async (importOriginal) => {
  const tls = await importOriginal();
  const connect = (options: object, listener: () => void) =>
    tls.connect({ ...options, ca: certificate.pem }, listener);
  return { ...tls, connect: connect as typeof tls.connect };
});

describeWith(['livekit-server'], 'a simulated scenario', () => {
  const house = new House({ turn: true });
  let room: ProtocolRoom;
  let tls: Server;
  let relays: { urls: string[]; username: string; password: string }[];

  /** Ends TLS in front of the TURN server, as a load balancer does. */
  beforeAll(async () => {
    const { der, privateKey } = generateCertificate('localhost');
    certificate.pem = `-----BEGIN CERTIFICATE-----\n${der.toString('base64')}\n-----END CERTIFICATE-----\n`;
    const key = privateKey.export({ type: 'pkcs8', format: 'pem' });
    tls = createServer({ cert: certificate.pem, key }, (socket) => {
      const turn = connectTcp(house.server.turn!.tcpPort, '127.0.0.1');
      socket.pipe(turn).pipe(socket);
      for (const end of [socket, turn]) end.on('error', () => end.destroy());
    });
    await new Promise<void>((resolve) => tls.listen(0, '127.0.0.1', resolve));
    const { username, credential } = await turnCredentials(house.server);
    const { port } = tls.address() as AddressInfo;
    relays = [{ urls: [`turns:localhost:${port}?transport=tcp`], username, password: credential }];
  });
  afterAll(() => tls.close());
  afterEach(() => room.ffi.dispose());

  /** What the media of the session goes over: of each peer connection the type and protocol of the local candidate in use. */
  async function pathsInUse(): Promise<string[]> {
    const { asyncId } = room.ffi.request({
      case: 'getSessionStats',
      value: { roomHandle: room.roomHandle },
    });
    const { message } = await room.ffi.waitFor('getSessionStats', (value) => value.asyncId === asyncId);
    if (message.case !== 'result') throw new Error(String(message.value));
    const entries = [...message.value.publisherStats, ...message.value.subscriberStats].map(
      ({ stats }) => stats,
    );
    const pairsInUse = entries.flatMap((entry) =>
      entry.case === 'transport' ? (entry.value.transport?.selectedCandidatePairId ?? []) : [],
    );
    const localsInUse = entries.flatMap((entry) =>
      entry.case === 'candidatePair' && pairsInUse.includes(entry.value.rtc?.id ?? '')
        ? (entry.value.candidatePair?.localCandidateId ?? [])
        : [],
    );
    return entries.flatMap((entry) =>
      entry.case === 'localCandidate' && localsInUse.includes(entry.value.rtc?.id ?? '')
        ? `${IceCandidateType[entry.value.candidate!.candidateType!]} ${entry.value.candidate!.protocol}`.toLowerCase()
        : [],
    );
  }

  const simulate = (scenario: SimulateScenarioKind) =>
    room.ffi.request({ case: 'simulateScenario', value: { roomHandle: room.roomHandle, scenario } });

  test('that forces TCP brings the session back over TCP', async () => {
    room = new ProtocolRoom();
    await room.connect(house, 'tcp');
    await expect.poll(pathsInUse, { timeout: 10_000 }).toContain('host udp');
    simulate(SimulateScenarioKind.SIMULATE_FORCE_TCP);
    await expect
      .poll(async () => [...new Set(await pathsInUse())], { timeout: 20_000 })
      .toEqual(['host tcp']);
  });

  test('that forces TLS brings the session back through a TURN server over TLS, and nothing else', async () => {
    room = new ProtocolRoom();
    await room.connect(house, 'tls', { options: { rtcConfig: { iceServers: relays } } });
    await expect.poll(pathsInUse, { timeout: 10_000 }).toContain('host udp');
    simulate(SimulateScenarioKind.SIMULATE_FORCE_TLS);
    await expect
      .poll(async () => [...new Set(await pathsInUse())], { timeout: 20_000 })
      .toEqual(['relay udp']);
  });
});

import { once } from 'node:events';
import {
  AvailabilityResponse,
  type Job,
  RegisterWorkerRequest,
  ServerMessage,
  WorkerMessage,
} from '@livekit/protocol';
import { RoomServiceClient } from 'livekit-server-sdk';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { WebSocket } from 'ws';
import { type RoomServer, startServer } from '../../src/server/index.js';
import { joinStatus, SignalPeer, signClaims, signToken } from './signal-peer.js';

/** A worker that takes every job, and joins its room as an agent of the job's own. */
class EagerWorker {
  readonly terminated: string[] = [];
  readonly agents: SignalPeer[] = [];
  #socket: WebSocket;

  private constructor(url: string, socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data: Buffer) => {
      const { message } = ServerMessage.fromBinary(data);
      if (message.case === 'availability') this.#accept(message.value.job!);
      if (message.case === 'termination') this.terminated.push(message.value.jobId);
      if (message.case === 'assignment') {
        void SignalPeer.open(url, message.value.token).then((agent) => this.agents.push(agent));
      }
    });
  }

  static async register(url: string): Promise<EagerWorker> {
    const token = await signToken('', { agent: true });
    const socket = new WebSocket(`${url}/agent`, { headers: { Authorization: `Bearer ${token}` } });
    const worker = new EagerWorker(url, socket);
    await once(socket, 'open');
    worker.#send({ case: 'register', value: new RegisterWorkerRequest() });
    return worker;
  }

  close(): void {
    this.#socket.close();
  }

  #accept({ id }: Job): void {
    const response = { jobId: id, available: true, participantIdentity: `agent-${id}` };
    this.#send({ case: 'availability', value: new AvailabilityResponse(response) });
  }

  #send(message: WorkerMessage['message']): void {
    this.#socket.send(new WorkerMessage({ message }).toBinary());
  }
}

const dependents: [string, Record<string, unknown>, object][] = [
  ['of kind agent', { kind: 'agent' }, {}],
  ['of kind egress', { kind: 'egress' }, {}],
  ['with the agent grant', {}, { agent: true }],
  ['with the recorder grant', {}, { recorder: true }],
];

describe('participants that are there for others', () => {
  let server: RoomServer;
  let rooms: RoomServiceClient;

  beforeAll(async () => {
    server = await startServer({ port: 0, departureTimeoutS: 0.3, emptyTimeoutS: 0.3 });
    rooms = new RoomServiceClient(server.url.replace('ws', 'http'), 'devkey', 'secret');
  });
  afterAll(() => server.close());

  const isOpen = async (room: string) => (await rooms.listRooms([room])).length > 0;
  const leave = (peer: SignalPeer) => peer.send({ case: 'leave', value: {} as never });

  async function joinDependent(room: string, claims: object, grant: object, identity = 'dependent') {
    const video = { roomJoin: true, room, ...grant };
    const peer = await SignalPeer.open(server.url, await signClaims({ sub: identity, video, ...claims }));
    peer.join = await peer.next('join');
    return peer;
  }

  test.each(dependents)('%s do not keep a room open', async (room, claims, grant) => {
    const caller = await SignalPeer.join(server.url, room, 'caller');
    const dependent = await joinDependent(room, claims, grant);
    leave(caller);
    expect(await dependent.next('leave')).toMatchObject({ reason: 10 });
    await expect.poll(() => isOpen(room)).toBe(false);
  });

  test.each(dependents)('%s alone do not keep a room open', async (kind, claims, grant) => {
    const dependent = await joinDependent(`${kind}, alone`, claims, grant);
    expect(await dependent.next('leave')).toMatchObject({ reason: 10 });
  });

  test.each(dependents)(
    '%s are not counted, and no room is full because of them',
    async (kind, claims, grant) => {
      const room = `${kind}, counted`;
      await rooms.createRoom({ name: room, maxParticipants: 1, emptyTimeout: 60 });
      const first = await joinDependent(room, claims, grant);
      expect(first.join?.room?.numParticipants).toBe(0);
      const caller = await SignalPeer.join(server.url, room, 'caller');
      expect(caller.join?.room?.numParticipants).toBe(1);
      const second = await joinDependent(room, claims, grant, 'second');
      expect(second.join?.room?.numParticipants).toBe(1);
      expect((await rooms.listRooms([room]))[0]?.numParticipants).toBe(1);
      expect(await joinStatus(server.url, await signToken('other', { roomJoin: true, room }))).toBe(403);
      for (const peer of [first, second, caller]) peer.close();
    },
  );

  test.each(['sip', 'ingress', 'standard'])('participants of kind %s keep a room open', async (kind) => {
    const caller = await joinDependent(kind, { kind }, {}, 'caller');
    expect(caller.join?.room?.numParticipants).toBe(1);
    // A room of the same age in which there is only an agent has closed meanwhile.
    const agent = await joinDependent(`${kind}, beside`, { kind: 'agent' }, {});
    expect(await agent.next('leave')).toMatchObject({ reason: 10 });
    expect(await isOpen(kind)).toBe(true);
    caller.close();
  });

  test('a full room stays full when many come at once', async () => {
    await rooms.createRoom({ name: 'rush', maxParticipants: 3, emptyTimeout: 60 });
    const tokens = await Promise.all(
      Array.from({ length: 20 }, (_, i) => signToken(`p${i}`, { roomJoin: true, room: 'rush' })),
    );
    const sockets = tokens.map((token) => new WebSocket(`${server.url}/rtc?access_token=${token}`));
    const statuses = await Promise.all(
      sockets.map(
        (socket) =>
          new Promise<number>((resolve) => {
            socket.on('open', () => resolve(101));
            socket.on('unexpected-response', (_request, { statusCode = 0 }) => resolve(statusCode));
            socket.on('error', () => {});
          }),
      ),
    );
    expect(statuses.filter((status) => status === 101)).toHaveLength(3);
    for (const socket of sockets) socket.terminate();
  });
});

test('a second call to a room is picked up by an agent of its own, and the job of the first is over', async () => {
  const server = await startServer({ port: 0, departureTimeoutS: 0.3 });
  const worker = await EagerWorker.register(server.url);
  const first = await SignalPeer.join(server.url, 'hotline', 'caller');
  await expect.poll(() => worker.agents.length).toBe(1);
  first.send({ case: 'leave', value: {} as never });
  await worker.agents[0]!.closed;
  await expect.poll(() => worker.terminated.length).toBe(1);
  const second = await SignalPeer.join(server.url, 'hotline', 'caller');
  expect(second.join?.room?.sid).not.toBe(first.join?.room?.sid);
  await expect.poll(() => worker.agents.length).toBe(2);
  second.close();
  worker.close();
  await server.close();
});

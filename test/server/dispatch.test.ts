import { once } from 'node:events';
import {
  AvailabilityResponse,
  type Job,
  JobType,
  RegisterWorkerRequest,
  ServerMessage,
  UpdateJobStatus,
  UpdateWorkerStatus,
  WorkerMessage,
  WorkerPing,
} from '@livekit/protocol';
import { AccessToken, AgentDispatchClient, RoomServiceClient } from 'livekit-server-sdk';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { setLogSink } from '../../src/logging/index.js';
import { type RoomServer, startServer } from '../../src/server/index.js';
import { limits } from '../../src/server/limits.js';
import { within } from '../support/until.js';
import { SignalPeer, signToken } from './signal-peer.js';

type FromServer = ServerMessage['message'];
type ValueOf<Case extends FromServer['case']> = Extract<FromServer, { case: Case }>['value'];

/** A worker that does what the test says, speaking the agent framework's protocol. */
class Worker {
  #socket: WebSocket;
  #received: FromServer[] = [];
  #wake: () => void = () => {};

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    socket.on('message', (data: Buffer) => {
      this.#received.push(ServerMessage.fromBinary(data).message);
      this.#wake();
    });
  }

  static async register(url: string, registration: Partial<RegisterWorkerRequest> = {}): Promise<Worker> {
    const token = await signToken('', { agent: true });
    const socket = new WebSocket(`${url}/agent`, { headers: { Authorization: `Bearer ${token}` } });
    const worker = new Worker(socket);
    await once(socket, 'open');
    worker.send({ case: 'register', value: new RegisterWorkerRequest(registration) });
    await worker.next('register');
    return worker;
  }

  send(message: WorkerMessage['message']): void {
    this.#socket.send(new WorkerMessage({ message }).toBinary());
  }

  sendRaw(data: Uint8Array): void {
    this.#socket.send(data);
  }

  sendPing(): void {
    this.#socket.ping();
  }

  next<Case extends NonNullable<FromServer['case']>>(kind: Case): Promise<ValueOf<Case>> {
    const take = async () => {
      for (;;) {
        const at = this.#received.findIndex((message) => message.case === kind);
        if (at >= 0) return this.#received.splice(at, 1)[0]!.value as ValueOf<Case>;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    };
    return within(`"${kind}" for the worker`, take(), {
      seen: () => this.#received.map((message) => message.case),
    });
  }

  answer(job: Job, available: boolean): void {
    const identity = `agent-${job.id}`;
    const response = { jobId: job.id, available, participantIdentity: identity, participantName: 'Agent' };
    this.send({ case: 'availability', value: new AvailabilityResponse(response) });
  }

  /** Takes the next job; resolves with it and the token to join with. */
  async takeJob(): Promise<{ job: Job; token: string }> {
    const { job } = await this.next('availability');
    this.answer(job!, true);
    const { token } = await this.next('assignment');
    return { job: job!, token };
  }

  drop(): void {
    this.#socket.terminate();
  }
}

describe('jobs for agents', () => {
  let server: RoomServer;
  let dispatches: AgentDispatchClient;

  beforeEach(async () => {
    server = await startServer({ port: 0 });
    dispatches = new AgentDispatchClient(server.url.replace('ws', 'http'), 'devkey', 'secret');
  });
  afterEach(() => server.close());

  const jobsOf = async (room: string) =>
    (await dispatches.listDispatch(room)).flatMap(({ agentName, state }) =>
      (state?.jobs ?? []).map((job) => ({ agentName, id: job.id, status: job.state?.status })),
    );

  test('an unnamed worker gets one when a room is opened, and a token to join it as an agent', async () => {
    const worker = await Worker.register(server.url);
    const caller = await SignalPeer.join(server.url, 'r', 'caller');
    const { job, token } = await worker.takeJob();
    expect(job).toMatchObject({ type: JobType.JT_ROOM, agentName: '', room: { name: 'r' } });
    const agent = await SignalPeer.open(server.url, token);
    const { participant } = await agent.next('join');
    expect(participant).toMatchObject({ kind: 4, name: 'Agent', attributes: { 'lk.agent_name': '' } });
    expect(participant?.permission).toMatchObject({ agent: true, canPublish: true, canUpdateMetadata: true });
    expect(await jobsOf('r')).toEqual([{ agentName: '', id: job.id, status: 1 }]);
    worker.send({ case: 'updateJob', value: new UpdateJobStatus({ jobId: job.id, status: 2 }) });
    await expect.poll(() => jobsOf('r')).toEqual([{ agentName: '', id: job.id, status: 2 }]);
    caller.close();
    agent.close();
  });

  test('an agent that the token names is sent, and no other', async () => {
    const unnamed = await Worker.register(server.url);
    const helper = await Worker.register(server.url, { agentName: 'helper' });
    const token = new AccessToken('devkey', 'secret', { identity: 'caller' });
    token.addGrant({ roomJoin: true, room: 'named' });
    token.roomConfig = { agents: [{ agentName: 'helper', metadata: 'be kind' }] } as never;
    const caller = await SignalPeer.open(server.url, await token.toJwt());
    await caller.next('join');
    expect((await helper.takeJob()).job).toMatchObject({ agentName: 'helper', metadata: 'be kind' });
    unnamed.send({ case: 'ping', value: new WorkerPing({ timestamp: 5n }) });
    expect(await unnamed.next('pong')).toMatchObject({ lastTimestamp: 5n });
    expect((await jobsOf('named')).map(({ agentName }) => agentName)).toEqual(['helper']);
    caller.close();
  });

  test('a job that one worker refuses goes to another, and waits when there is none', async () => {
    const first = await Worker.register(server.url);
    const caller = await SignalPeer.join(server.url, 'r', 'caller');
    const { job } = await first.next('availability');
    first.answer(job!, false);
    const second = await Worker.register(server.url);
    expect((await second.takeJob()).job.id).toBe(job?.id);
    caller.close();
  });

  test('a worker that refuses for the moment is offered the job again', async () => {
    const worker = await Worker.register(server.url);
    const caller = await SignalPeer.join(server.url, 'r', 'caller');
    const { job } = await worker.next('availability');
    worker.answer(job!, false);
    expect((await worker.takeJob()).job.id).toBe(job!.id);
    caller.close();
  });

  test('a worker that is full gets none until it has room again, and the log says that it is busy', async () => {
    const logged: string[] = [];
    setLogSink(({ message }) => logged.push(message));
    const worker = await Worker.register(server.url);
    worker.send({ case: 'updateWorker', value: new UpdateWorkerStatus({ status: 1, load: 1 }) });
    worker.send({ case: 'ping', value: new WorkerPing() });
    await worker.next('pong');
    const caller = await SignalPeer.join(server.url, 'r', 'caller');
    expect(await jobsOf('r')).toEqual([]);
    await vi.waitFor(() =>
      expect(logged).toContainEqual(
        expect.stringMatching(/^the job waits for .*: every worker of it is busy$/),
      ),
    );
    worker.send({ case: 'updateWorker', value: new UpdateWorkerStatus({ status: 0, load: 0.1 }) });
    expect((await worker.takeJob()).job.room?.name).toBe('r');
    caller.close();
  });

  test('a worker that goes before its agent has joined costs no call: another gets the job', async () => {
    const first = await Worker.register(server.url);
    const caller = await SignalPeer.join(server.url, 'r', 'caller');
    const { job } = await first.takeJob();
    first.drop();
    const second = await Worker.register(server.url);
    expect((await second.takeJob()).job.id).toBe(job.id);
    expect(await jobsOf('r')).toHaveLength(1);
    caller.close();
  });

  test('a worker for publishers gets one for each who publishes, but not for agents', async () => {
    const worker = await Worker.register(server.url, { type: JobType.JT_PUBLISHER });
    const caller = await SignalPeer.join(server.url, 'r', 'caller');
    await caller.publish({ cid: 'c' });
    const { job, token } = await worker.takeJob();
    expect(job).toMatchObject({ type: JobType.JT_PUBLISHER, participant: { identity: 'caller' } });
    const agent = await SignalPeer.open(server.url, token);
    await agent.next('join');
    await agent.publish({ cid: 'a' });
    expect(await jobsOf('r')).toHaveLength(1);
    caller.close();
    agent.close();
  });

  test('a dispatch can be added to an open room, and ends its jobs when it is withdrawn', async () => {
    const worker = await Worker.register(server.url, { agentName: 'late' });
    const caller = await SignalPeer.join(server.url, 'r', 'caller');
    const { id } = await dispatches.createDispatch('r', 'late', { metadata: 'm' });
    const { job } = await worker.takeJob();
    expect(job).toMatchObject({ dispatchId: id, metadata: 'm' });
    await dispatches.deleteDispatch(id, 'r');
    expect(await worker.next('termination')).toMatchObject({ jobId: job.id });
    caller.close();
  });

  test('an agent whose room has closed while it was on its way finds an empty one, into which no other is sent', async () => {
    const worker = await Worker.register(server.url);
    const caller = await SignalPeer.join(server.url, 'r', 'caller');
    const { job, token } = await worker.takeJob();
    caller.send({ case: 'leave', value: {} as never });
    await new RoomServiceClient(server.url.replace('ws', 'http'), 'devkey', 'secret').deleteRoom('r');
    expect(await worker.next('termination')).toMatchObject({ jobId: job.id });
    const agent = await SignalPeer.open(server.url, token);
    const { room } = await agent.next('join');
    expect(room?.emptyTimeout).toBe(room?.departureTimeout);
    expect(await dispatches.listDispatch('r')).toEqual([]);
    agent.close();
  });

  test('garbage from a worker costs it the message and nobody anything else', async () => {
    const worker = await Worker.register(server.url);
    worker.sendRaw(Buffer.from([0xff, 0xff, 0xff]));
    worker.send({ case: 'updateJob', value: new UpdateJobStatus({ jobId: 'AJ_none', status: 2 }) });
    worker.send({ case: 'availability', value: new AvailabilityResponse({ jobId: 'AJ_none' }) });
    const caller = await SignalPeer.join(server.url, 'r', 'caller');
    expect((await worker.takeJob()).job.room?.name).toBe('r');
    caller.close();
  });

  test('a publisher gets an agent once, however often it publishes', async () => {
    const worker = await Worker.register(server.url, { type: JobType.JT_PUBLISHER });
    const caller = await SignalPeer.join(server.url, 'again', 'caller');
    for (const cid of ['first', 'second']) {
      await caller.publish({ cid });
      caller.offer(cid, 'inactive');
      await caller.next('trackUnpublished');
    }
    expect((await worker.takeJob()).job.type).toBe(JobType.JT_PUBLISHER);
    expect(await jobsOf('again')).toHaveLength(1);
    caller.close();
  });

  test.each([Number.NEGATIVE_INFINITY, Number.NaN, -5])(
    'a worker with a load of %s gets no more jobs than others',
    async (load) => {
      const odd = await Worker.register(server.url);
      const other = await Worker.register(server.url);
      odd.send({ case: 'updateWorker', value: new UpdateWorkerStatus({ load }) });
      odd.send({ case: 'ping', value: new WorkerPing({ timestamp: 1n }) });
      await odd.next('pong');
      const callers = await Promise.all(
        Array.from({ length: 30 }, (_, i) => SignalPeer.join(server.url, `load ${i}`, 'caller')),
      );
      await other.next('availability');
      for (const caller of callers) caller.close();
    },
  );

  test('the dispatches of a room are limited by what they take', async () => {
    const metadata = 'm'.repeat(limits.dispatchesBytes.value / 8 - 10_000);
    const create = (room: string) => dispatches.createDispatch(room, 'nobody', { metadata });
    const ids: string[] = [];
    for (let i = 0; i < 8; i++) ids.push((await create('crowded')).id);
    await expect(create('crowded')).rejects.toMatchObject({ code: 'resource_exhausted' });
    await create('another room');
    await dispatches.deleteDispatch(ids[0]!, 'crowded');
    await create('crowded');
  });

  test('an answer of a worker with tens of thousands of parts is passed over', async () => {
    const worker = await Worker.register(server.url);
    const caller = await SignalPeer.join(server.url, 'parts', 'caller');
    const { job } = await worker.next('availability');
    const participantAttributes = Object.fromEntries(
      Array.from({ length: limits.messageParts.value + 1 }, (_, i) => [`${i}`, 'x']),
    );
    const huge = { jobId: job!.id, available: true, participantIdentity: 'huge', participantAttributes };
    worker.send({ case: 'availability', value: new AvailabilityResponse(huge) });
    worker.answer(job!, true);
    const { job: assigned } = await worker.next('assignment');
    expect(assigned?.state?.participantIdentity).toBe(`agent-${job!.id}`);
    caller.close();
  });

  test('a worker that sends more than its budget is not read for a while', async () => {
    const worker = await Worker.register(server.url);
    const { signalRequestBurst, signalRequestsPerSecond } = limits;
    const startMs = performance.now();
    for (let i = 0; i < signalRequestBurst.value; i++) worker.sendPing();
    for (let i = 0; i < signalRequestsPerSecond.value; i++) worker.sendRaw(Uint8Array.of(0xff));
    // What has come at once is read at once.
    for (let i = 0; i < 2; i++) {
      worker.send({ case: 'ping', value: new WorkerPing({ timestamp: 1n }) });
      await worker.next('pong');
    }
    expect(performance.now() - startMs).toBeGreaterThan(900);
  });

  test('a worker that hangs does not hold up the end of the server', async () => {
    const token = await signToken('', { agent: true });
    const socket = new WebSocket(`${server.url}/agent`, { headers: { Authorization: `Bearer ${token}` } });
    await once(socket, 'open');
    socket.send(
      new WorkerMessage({ message: { case: 'register', value: new RegisterWorkerRequest() } }).toBinary(),
    );
    await once(socket, 'message');
    socket.pause();
    const startMs = performance.now();
    await server.close();
    expect(performance.now() - startMs).toBeLessThan(10_000);
    socket.terminate();
    server = await startServer({ port: 0 });
  });
});

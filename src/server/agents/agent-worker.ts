import {
  AvailabilityRequest,
  type AvailabilityResponse,
  type Job,
  JobAssignment,
  JobState,
  JobStatus,
  JobTermination,
  type RegisterWorkerRequest,
  RegisterWorkerResponse,
  type ServerInfo,
  ServerMessage,
  type UpdateJobStatus,
  WorkerMessage,
  WorkerPong,
  WorkerStatus,
} from '@livekit/protocol';
import { type RawData, WebSocket } from 'ws';
import { describeError } from '../../errors/index.js';
import { createLogger } from '../../logging/index.js';
import { type ApiKeys, signAccess } from '../access-token.js';
import { Boundary } from '../boundary.js';
import { BoundedLog } from '../bounded-log.js';
import { newSid } from '../ids.js';
import { limits } from '../limits.js';
import { requireFewParts } from '../message-bound.js';
import { RequestBudget } from '../request-budget.js';
import { startTimeout, type Timeout } from '../timers.js';

export interface AgentWorkerOptions {
  /** To sign the tokens of jobs with. */
  keys: ApiKeys;
  serverInfo: ServerInfo;
}

const log = createLogger('server/agents');

/** How a worker answered an offered job. */
type JobAnswer = 'accepted' | 'refused' | 'done';

/** The attribute that tells an agent's name, as LiveKit's clients know it. */
const agentNameAttribute = 'lk.agent_name';
const registerTimeoutMs = 10_000;
const answerTimeoutMs = 10_000;
const warningsPerMinute = 10;
const tokenLifetime = '1h';

/** One worker's connection (the `/agent` WebSocket of LiveKit's agent framework): its state and its jobs. */
export class AgentWorker {
  readonly id = newSid('AW');
  /** Undefined until the worker has registered. */
  registration: RegisterWorkerRequest | undefined;
  status = WorkerStatus.WS_AVAILABLE;
  /** 0 to 1, as the worker says. */
  load = 0;
  /** Jobs that run, by id. */
  readonly jobs = new Map<string, Job>();
  onRegistered: () => void = () => {};
  onAvailable: () => void = () => {};
  onJobEnded: (job: Job) => void = () => {};
  onClosed: () => void = () => {};
  #socket: WebSocket;
  #options: AgentWorkerOptions;
  #apiKey: string;
  #budget = new RequestBudget(
    limits.signalRequestsPerSecond.value,
    limits.signalRequestBurst.value,
    performance.now(),
  );
  #pause: Timeout | undefined;
  #warnings = new BoundedLog(log, warningsPerMinute);
  #offers = new Map<string, (response: AvailabilityResponse | undefined) => void>();

  constructor(socket: WebSocket, apiKey: string, options: AgentWorkerOptions) {
    this.#socket = socket;
    this.#apiKey = apiKey;
    this.#options = options;
    const boundary = new Boundary(`worker ${this.id}`);
    const unregistered = startTimeout(boundary.name, registerTimeoutMs, () => {
      if (!this.registration) this.close('no registration');
    });
    socket.on('message', (data) => {
      this.#count();
      this.#receive(data);
    });
    socket.on('ping', () => this.#count());
    socket.on('error', (error) => log.debug(`worker ${this.id}: ${error.message}`));
    const end = () => {
      unregistered.cancel();
      this.#pause?.cancel();
      for (const settle of [...this.#offers.values()]) settle(undefined);
      this.onClosed();
    };
    socket.on('close', boundary.wrap('closing', end));
  }

  get isOpen(): boolean {
    return this.#socket.readyState === WebSocket.OPEN;
  }

  get name(): string {
    return this.registration?.agentName ?? '';
  }

  /** Offers a job and, when it is accepted, assigns it; a worker that does not answer in time has refused. */
  async offer(job: Job): Promise<JobAnswer> {
    const nowNs = BigInt(Date.now()) * 1_000_000n;
    job.state = new JobState({
      status: JobStatus.JS_RUNNING,
      workerId: this.id,
      startedAt: nowNs,
      updatedAt: nowNs,
    });
    const response = await this.#ask(job);
    if (response?.terminate) {
      job.state.status = JobStatus.JS_SUCCESS;
      job.state.endedAt = job.state.updatedAt;
      return 'done';
    }
    if (!response?.available || !this.isOpen) return 'refused';
    job.state.participantIdentity = response.participantIdentity;
    const token = await this.#tokenFor(job, response);
    if (!this.isOpen) return 'refused';
    this.jobs.set(job.id, job);
    this.#send({ case: 'assignment', value: new JobAssignment({ job, token }) });
    return 'accepted';
  }

  /** Tells the worker to end a job. */
  terminate(jobId: string): void {
    if (!this.jobs.has(jobId)) return;
    this.#send({ case: 'termination', value: new JobTermination({ jobId }) });
    this.#updateJob({ jobId, status: JobStatus.JS_SUCCESS, error: '' });
  }

  close(reason: string): void {
    this.#socket.close(1000, reason);
  }

  #ask(job: Job): Promise<AvailabilityResponse | undefined> {
    return new Promise((resolve) => {
      const timer = startTimeout(`worker ${this.id}`, answerTimeoutMs, () => settle(undefined));
      const settle = (response: AvailabilityResponse | undefined) => {
        timer.cancel();
        this.#offers.delete(job.id);
        resolve(response);
      };
      this.#offers.set(job.id, settle);
      this.#send({ case: 'availability', value: new AvailabilityRequest({ job }) });
    });
  }

  #tokenFor(job: Job, response: AvailabilityResponse): Promise<string> {
    const allowed = this.registration?.allowedPermissions;
    return signAccess(this.#apiKey, this.#options.keys[this.#apiKey] ?? '', {
      identity: response.participantIdentity,
      name: response.participantName,
      metadata: response.participantMetadata,
      attributes: { ...response.participantAttributes, [agentNameAttribute]: this.name },
      kind: 'agent',
      lifetime: tokenLifetime,
      grants: {
        roomJoin: true,
        room: job.room?.name ?? '',
        agent: true,
        canPublish: allowed?.canPublish ?? true,
        canSubscribe: allowed?.canSubscribe ?? true,
        canPublishData: allowed?.canPublishData ?? true,
        canPublishSources: allowed?.canPublishSources ?? [],
        canUpdateOwnMetadata: allowed?.canUpdateMetadata ?? true,
        hidden: allowed?.hidden ?? false,
      },
    });
  }

  /** Counts a message or a ping. A worker that sends more than its budget is not read for a while. */
  #count(): void {
    const nowMs = performance.now();
    this.#budget.spend(1, nowMs);
    if (this.#budget.waitMs(nowMs) > 0 && !this.#pause && this.isOpen) this.#rest();
  }

  /** What has come with the message that was too much counts, too. */
  #rest(): void {
    const waitMs = this.#budget.waitMs(performance.now());
    this.#pause = waitMs > 0 ? startTimeout(`worker ${this.id}`, waitMs, () => this.#rest()) : undefined;
    if (this.#pause) this.#socket.pause();
    else this.#socket.resume();
  }

  #receive(data: RawData): void {
    try {
      const bytes = Buffer.isBuffer(data) ? data : Buffer.concat(data as Buffer[]);
      requireFewParts(WorkerMessage, bytes);
      this.#handle(WorkerMessage.fromBinary(bytes).message);
    } catch (error) {
      this.#warnings.write(
        'warn',
        `worker ${this.id}: a message is ignored: it cannot be read: ${describeError(error)}`,
      );
    }
  }

  #handle(message: WorkerMessage['message']): void {
    switch (message.case) {
      case 'register':
        this.registration = message.value;
        this.#send({
          case: 'register',
          value: new RegisterWorkerResponse({ workerId: this.id, serverInfo: this.#options.serverInfo }),
        });
        this.onRegistered();
        break;
      case 'availability':
        this.#offers.get(message.value.jobId)?.(message.value);
        break;
      case 'updateWorker': {
        const { status = this.status, load } = message.value;
        const isNews = status === WorkerStatus.WS_AVAILABLE && this.status !== status;
        this.status = status;
        // A load that is no number says nothing of the worker's room: others come first.
        this.load = Number.isFinite(load) ? Math.min(1, Math.max(0, load)) : 1;
        if (isNews) this.onAvailable();
        break;
      }
      case 'updateJob':
        this.#updateJob(message.value);
        break;
      case 'ping': {
        const pong = { lastTimestamp: message.value.timestamp, timestamp: BigInt(Date.now()) };
        this.#send({ case: 'pong', value: new WorkerPong(pong) });
        break;
      }
      default:
        log.debug(`worker ${this.id}: ${message.case ?? 'an unknown message'} is ignored`);
    }
  }

  #updateJob({ jobId, status, error }: Pick<UpdateJobStatus, 'jobId' | 'status' | 'error'>): void {
    const job = this.jobs.get(jobId);
    if (!job?.state) return;
    const nowNs = BigInt(Date.now()) * 1_000_000n;
    Object.assign(job.state, { status, error, updatedAt: nowNs });
    if (status !== JobStatus.JS_SUCCESS && status !== JobStatus.JS_FAILED) return;
    job.state.endedAt = nowNs;
    this.jobs.delete(jobId);
    this.onJobEnded(job);
  }

  #send(message: ServerMessage['message']): void {
    if (!this.isOpen) return;
    if (this.#socket.bufferedAmount > limits.unreadSignalBytes.value) this.#socket.terminate();
    else this.#socket.send(new ServerMessage({ message }).toBinary());
  }
}

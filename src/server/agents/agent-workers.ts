import { type Job, JobType, WorkerStatus } from '@livekit/protocol';
import type { WebSocket } from 'ws';
import { createLogger } from '../../logging/index.js';
import type { Access } from '../access-token.js';
import { HttpError } from '../http-error.js';
import { AgentWorker, type AgentWorkerOptions } from './agent-worker.js';

const log = createLogger('server/agents');

/** The workers that are connected, and who of them is to have a job. */
export class AgentWorkers {
  /** A worker has come, or has room again: jobs that wait may be offered once more. */
  onCapacity: () => void = () => {};
  /** A worker has gone, and these jobs of its with it. */
  onJobsLost: (jobs: Job[]) => void = () => {};
  #options: AgentWorkerOptions;
  #workers = new Set<AgentWorker>();

  constructor(options: AgentWorkerOptions) {
    this.#options = options;
  }

  /** @throws HttpError 401 when the token is no worker's. */
  check(access: Access): void {
    if (!access.grants.agent) throw new HttpError(401, 'permissions denied: the token has no agent grant');
  }

  serve(socket: WebSocket, access: Access): void {
    const worker = new AgentWorker(socket, access.apiKey, this.#options);
    worker.onRegistered = () => {
      this.#workers.add(worker);
      const type = JobType[worker.registration?.type ?? JobType.JT_ROOM];
      log.info(`worker ${worker.id} registered: agent "${worker.name}", ${type}`);
      this.onCapacity();
    };
    worker.onAvailable = () => this.onCapacity();
    worker.onJobEnded = ({ id, state, room }) =>
      log.about({ room: room?.name, job: id }).info(`the job ended${state?.error ? `: ${state.error}` : ''}`);
    worker.onClosed = () => {
      if (!this.#workers.delete(worker)) return;
      log.info(`worker ${worker.id} left`);
      this.onJobsLost([...worker.jobs.values()]);
    };
  }

  /**
   * Offers a job to one worker after the other, those with less load more likely first, until one takes it.
   *
   * @param refusers workers that were asked before and are not asked again; those who refuse now are added.
   * @returns whether somebody has taken it.
   */
  async assign(job: Job, refusers: Set<AgentWorker>): Promise<boolean> {
    for (;;) {
      const worker = this.#choose(job, refusers);
      if (!worker) return false;
      refusers.add(worker);
      const answer = await worker.offer(job);
      if (answer === 'refused') continue;
      log.about({ room: job.room?.name, job: job.id }).info(`the job was ${answer} by worker ${worker.id}`);
      return true;
    }
  }

  /** Why nobody has taken a job; undefined when its workers take jobs of another type only. */
  whyWaiting(job: Job, refusers: ReadonlySet<AgentWorker>): string | undefined {
    const named = [...this.#workers].filter((worker) => worker.name === job.agentName && worker.isOpen);
    if (named.length === 0) return 'no worker of it is registered';
    const fitting = named.filter(({ registration }) => registration?.type === job.type);
    if (fitting.length === 0) return undefined;
    const refused = fitting.filter((worker) => refusers.has(worker)).length;
    if (refused === fitting.length) return 'every worker of it has refused';
    return `every worker of it is ${refused === 0 ? 'busy' : 'busy or has refused'}`;
  }

  terminate(jobId: string): void {
    for (const worker of this.#workers) worker.terminate(jobId);
  }

  closeAll(): void {
    for (const worker of this.#workers) worker.close('server shutdown');
  }

  #choose(job: Job, refusers: ReadonlySet<AgentWorker>): AgentWorker | undefined {
    const fitting = [...this.#workers].filter(
      (worker) =>
        worker.name === job.agentName &&
        worker.registration?.type === job.type &&
        worker.status === WorkerStatus.WS_AVAILABLE &&
        worker.isOpen &&
        !refusers.has(worker),
    );
    const weights = fitting.map(({ load }) => Math.max(0.01, 1 - load));
    let at = Math.random() * weights.reduce((sum, weight) => sum + weight, 0);
    return fitting.find((_worker, i) => {
      at -= weights[i]!;
      return at <= 0;
    });
  }
}

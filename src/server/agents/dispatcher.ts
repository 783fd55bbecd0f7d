import { AgentDispatch, AgentDispatchState, Job, JobType, type RoomAgentDispatch } from '@livekit/protocol';
import { describeError } from '../../errors/index.js';
import { createLogger } from '../../logging/index.js';
import { newSid } from '../ids.js';
import { limits } from '../limits.js';
import type { Participant } from '../participant.js';
import type { Room, RoomListener } from '../room.js';
import { startTimeout, type Timer } from '../timers.js';
import type { AgentWorker } from './agent-worker.js';
import type { AgentWorkers } from './agent-workers.js';

const log = createLogger('server/agents');

/** A job that no worker has taken yet. */
interface WaitingJob {
  job: Job;
  room: Room;
  dispatch: AgentDispatch;
  refusers: Set<AgentWorker>;
  offering: boolean;
  /** Offers the job again to those who have refused it. */
  retry?: Timer;
  retryDelayMs: number;
}

/**
 * A refusal may be for the moment: a worker of livekit-agents refuses while it takes on another job. Those who have refused
 * are asked again after this, and each time after twice as long.
 */
const firstRetryMs = 500;
const maxRetryMs = 30_000;

/**
 * Sends agents into rooms: those that a room's configuration or the API names, or any unnamed one. A job for which
 * there is no worker waits, so that an agent which starts after its caller still picks up.
 */
export class Dispatcher implements RoomListener {
  #workers: AgentWorkers;
  #dispatches = new Map<Room, Map<string, AgentDispatch>>();
  #waiting = new Set<WaitingJob>();
  /** Why jobs of a dispatch wait, as it was logged. */
  #announced = new WeakMap<AgentDispatch, Set<string>>();
  /** Participants that have published, and were sent the agents for that. */
  #publishers = new WeakSet<Participant>();

  constructor(workers: AgentWorkers) {
    this.#workers = workers;
    workers.onCapacity = () => this.#offerWaiting();
    workers.onJobsLost = (jobs) => this.#recover(jobs);
  }

  onOpened(room: Room, agents: readonly RoomAgentDispatch[]): void {
    this.#dispatches.set(room, new Map());
    for (const { agentName, metadata, attributes } of agents) {
      this.create(room, { agentName, metadata, attributes });
    }
  }

  onParticipantJoined(room: Room, participant: Participant): void {
    this.#launchFor(room, participant, JobType.JT_PARTICIPANT);
  }

  onParticipantLeft(room: Room, participant: Participant): void {
    for (const waiting of this.#waiting) {
      if (waiting.room === room && waiting.job.participant?.sid === participant.sid) this.#forget(waiting);
    }
  }

  /** A publisher gets its agents once for as long as it stays, however often it publishes. */
  onTracksPublished(room: Room, participant: Participant): void {
    if (this.#publishers.has(participant)) return;
    this.#publishers.add(participant);
    this.#launchFor(room, participant, JobType.JT_PUBLISHER);
  }

  onClosed(room: Room): void {
    for (const { id } of this.list(room)) this.delete(room, id);
    this.#dispatches.delete(room);
  }

  /** Sends an agent into a room. */
  create(room: Room, wish: Pick<AgentDispatch, 'agentName' | 'metadata' | 'attributes'>): AgentDispatch {
    const dispatch = new AgentDispatch({
      ...wish,
      id: newSid('AD'),
      room: room.name,
      state: new AgentDispatchState({ createdAt: BigInt(Date.now()) * 1_000_000n }),
    });
    this.#dispatches.get(room)?.set(dispatch.id, dispatch);
    this.#launch(room, dispatch, JobType.JT_ROOM);
    for (const participant of room.participants.values()) {
      if (participant.isDependent) continue;
      this.#launch(room, dispatch, JobType.JT_PARTICIPANT, participant);
      if (participant.publisher.tracks.size > 0)
        this.#launch(room, dispatch, JobType.JT_PUBLISHER, participant);
    }
    return dispatch;
  }

  list(room: Room): AgentDispatch[] {
    return [...(this.#dispatches.get(room)?.values() ?? [])];
  }

  /** Withdraws a dispatch and ends its jobs; undefined when there is none of this id. */
  delete(room: Room, id: string): AgentDispatch | undefined {
    const dispatch = this.#dispatches.get(room)?.get(id);
    if (!dispatch) return undefined;
    this.#dispatches.get(room)?.delete(id);
    for (const waiting of this.#waiting) if (waiting.dispatch === dispatch) this.#forget(waiting);
    for (const job of dispatch.state?.jobs ?? []) this.#workers.terminate(job.id);
    if (dispatch.state) dispatch.state.deletedAt = BigInt(Date.now()) * 1_000_000n;
    return dispatch;
  }

  #launchFor(room: Room, participant: Participant, type: JobType): void {
    if (participant.isDependent) return;
    for (const dispatch of this.list(room)) this.#launch(room, dispatch, type, participant);
  }

  #launch(room: Room, dispatch: AgentDispatch, type: JobType, participant?: Participant): void {
    const job = new Job({
      id: newSid('AJ'),
      dispatchId: dispatch.id,
      type,
      room: room.info(),
      agentName: dispatch.agentName,
      metadata: dispatch.metadata,
      attributes: dispatch.attributes,
      ...(participant ? { participant: participant.info() } : {}),
    });
    this.#wait(job, room, dispatch);
  }

  #wait(job: Job, room: Room, dispatch: AgentDispatch): void {
    const refusers = new Set<AgentWorker>();
    const waiting = { job, room, dispatch, refusers, offering: false, retryDelayMs: firstRetryMs };
    this.#waiting.add(waiting);
    this.#offer(waiting);
  }

  /** Returns whether the job was waiting. */
  #forget(waiting: WaitingJob): boolean {
    waiting.retry?.cancel();
    return this.#waiting.delete(waiting);
  }

  #retryLater(waiting: WaitingJob): void {
    if (!this.#waiting.has(waiting)) return;
    waiting.retry?.cancel();
    waiting.retry = startTimeout(
      `job ${waiting.job.id}`,
      waiting.retryDelayMs,
      () => {
        waiting.refusers.clear();
        this.#offer(waiting);
      },
      { keepsProcess: false },
    );
    waiting.retryDelayMs = Math.min(2 * waiting.retryDelayMs, maxRetryMs);
  }

  #offerWaiting(): void {
    for (const waiting of this.#waiting) this.#offer(waiting);
  }

  #offer(waiting: WaitingJob): void {
    if (waiting.offering) return;
    waiting.offering = true;
    const { job, room, dispatch, refusers } = waiting;
    job.room = room.info();
    this.#workers
      .assign(job, refusers)
      .then((taken) => {
        if (!taken) {
          this.#announceWaiting(waiting);
          if (refusers.size > 0) this.#retryLater(waiting);
          return;
        }
        if (dispatch.state) remember(job, dispatch.state);
        // Withdrawn while the worker was making up its mind.
        if (!this.#forget(waiting)) this.#workers.terminate(job.id);
      })
      .catch((error: unknown) =>
        log.about({ room: room.name, job: job.id }).error(`the job was not offered: ${describeError(error)}`),
      )
      .finally(() => {
        waiting.offering = false;
      });
  }

  /** Logs each reason for which a job waits once for each dispatch, which makes jobs of several types. */
  #announceWaiting(waiting: WaitingJob): void {
    const { job, room, dispatch, refusers } = waiting;
    const why = this.#workers.whyWaiting(job, refusers);
    if (why === undefined || !this.#waiting.has(waiting)) return;
    const announced = this.#announced.get(dispatch) ?? new Set();
    if (announced.has(why)) return;
    this.#announced.set(dispatch, announced.add(why));
    const kind = job.agentName === '' ? 'an agent without a name' : `agent "${job.agentName}"`;
    log.about({ room: room.name, job: job.id }).info(`the job waits for ${kind}: ${why}`);
  }

  /** Gives jobs of a worker that has gone to another, unless their agents have made it into the room. */
  #recover(jobs: readonly Job[]): void {
    for (const job of jobs) {
      const room = [...this.#dispatches.keys()].find(({ sid }) => sid === job.room?.sid);
      const dispatch = room && this.#dispatches.get(room)?.get(job.dispatchId);
      if (!room || !dispatch || room.participants.has(job.state?.participantIdentity ?? '')) continue;
      log
        .about({ room: room.name, job: job.id })
        .warn('the job lost its worker before the agent had joined; it is offered again');
      if (dispatch.state) dispatch.state.jobs = dispatch.state.jobs.filter(({ id }) => id !== job.id);
      this.#wait(job.clone(), room, dispatch);
    }
  }
}

/** Each participant that comes and goes may be another job: those that have ended are not kept for ever. */
function remember(job: Job, { jobs }: AgentDispatchState): void {
  jobs.push(job);
  if (jobs.length <= limits.jobsOfDispatch.value) return;
  const ended = jobs.findIndex(({ state }) => state !== undefined && state.endedAt > 0n);
  if (ended >= 0) jobs.splice(ended, 1);
}

import { DisconnectReason, LeaveRequest, LeaveRequest_Action, type SignalRequest } from '@livekit/protocol';
import { untilAborted } from '../../deadlines/index.js';
import { describeError, type ErrorCode, OffhookError } from '../../errors/index.js';
import { limits } from '../../limits.js';
import { createLogger, type Logger } from '../../logging/index.js';
import { createDeferred } from '../deferred.js';
import { Attempt } from './attempt.js';
import type { ConnectionEvent, SessionEvent } from './connection-events.js';
import {
  type ConnectionAction,
  type ConnectionInput,
  type ConnectionState,
  transitionFor,
} from './connection-table.js';
import { failureOf, inputForFailure, inputForLeave, leaveError } from './failure.js';
import { RetryPace } from './retry-pace.js';
import { Session } from './session.js';
import { SignalOpener, type SignalOpenerOptions } from './signal-opener.js';

const log = createLogger('room/connection');

/**
 * Failures of joining that may be over at the next try. One at a deadline is none: the time that the step was given has been
 * used, and LiveKit's own SDKs ask for a second try by default.
 */
const mayPass: readonly ErrorCode[] = [
  'OFFHOOK_UNREACHABLE',
  'OFFHOOK_PROTOCOL',
  'OFFHOOK_SERVER_REFUSED',
  'OFFHOOK_TRANSPORT',
];
const joinAgainMs = 200;

/** What an attempt comes to when it fails. */
type FailedAttempt = 'joinFailed' | 'resumeFailed' | 'rejoinFailed';

interface ConnectionOptions extends SignalOpenerOptions {
  /** 0 to 1. */
  random: () => number;
  emit: (event: ConnectionEvent) => void;
}

/** Connects, resumes, reconnects and disconnects a room: runs `connectionTable`. */
export class Connection {
  #options: ConnectionOptions;
  #log: Logger;
  #state: ConnectionState = 'disconnected';
  #session: Session | undefined;
  #signals: SignalOpener;
  #attempt = new Attempt();
  #pace: RetryPace;
  #wasReconnecting = false;
  /** Settles when there is a session that works, or there will be none; another one whenever the session is lost. */
  #connected = createDeferred<void>();
  #reason = DisconnectReason.CLIENT_INITIATED;
  /** Why the connection was lost last. */
  #failure: OffhookError | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#log = log.about(options.timeline.subject);
    this.#signals = new SignalOpener(options);
    this.#pace = new RetryPace(options.random);
  }

  get state(): ConnectionState {
    return this.#state;
  }

  get session(): Session | undefined {
    return this.#session;
  }

  get token(): string {
    return this.#signals.token;
  }

  set token(token: string) {
    this.#signals.token = token;
  }

  get url(): string {
    return this.#session?.url ?? this.#options.urls[0] ?? '';
  }

  /** @throws OffhookError that names the stage, the host and the elapsed time */
  async connect(): Promise<void> {
    this.#input('connect');
    await this.#connected.promise;
  }

  disconnect(reason: DisconnectReason): void {
    this.#reason = reason;
    this.#failure = undefined;
    if (this.#state === 'connecting')
      this.#connected.reject(new OffhookError('OFFHOOK_ABORTED', 'connecting was cancelled'));
    this.#input('disconnect');
  }

  /** Resolves with the session as soon as there is one that works. */
  async whenConnected(signal: AbortSignal): Promise<Session> {
    while (this.#state !== 'connected' || !this.#session) {
      if (this.#state === 'disconnected') throw this.#closedError();
      await untilAborted(this.#connected.promise, signal);
    }
    return this.#session;
  }

  /** Sends to the server, or drops the message while there is no session: what must last is sent again to the next one. */
  send(message: SignalRequest['message']): void {
    this.#session?.send(message);
  }

  /** Brings about what a lost connection brings about. */
  simulate(input: 'signalLost' | 'leaveReconnect'): void {
    this.#lost(input, new OffhookError('OFFHOOK_UNREACHABLE', `simulated: ${input}`));
  }

  /** Somebody has joined under our identity: the session is theirs. */
  replaced(): void {
    const { DUPLICATE_IDENTITY: reason } = DisconnectReason;
    this.#onLeave(new LeaveRequest({ reason, action: LeaveRequest_Action.DISCONNECT }));
  }

  #input(input: ConnectionInput): void {
    const transition = transitionFor(this.#state, input);
    if (!transition) {
      this.#log.debug(`${input} changes nothing while ${this.#state}`);
      return;
    }
    this.#log.debug(`${this.#state} → ${transition.to} (${input})`);
    this.#state = transition.to;
    for (const action of transition.actions) this.#actions[action]();
  }

  #actions: Record<ConnectionAction, () => void> = {
    openSession: () => this.#run((attempt) => this.#open(attempt), 'joinFailed'),
    reportJoined: () => this.#connected.resolve(),
    reportInterrupted: () => {
      this.#connected = createDeferred<void>();
      this.#pace.begin();
      this.#wasReconnecting = this.#state === 'reconnecting';
      this.#options.emit({
        type: 'interrupted',
        state: this.#state === 'reconnecting' ? 'reconnecting' : 'resuming',
      });
    },
    resume: () => this.#run((attempt) => this.#resume(attempt), 'resumeFailed'),
    retryResume: () => this.#run((attempt) => this.#resume(attempt), 'resumeFailed'),
    reconnect: () => {
      this.#wasReconnecting = true;
      this.#pace.resetTarget();
      this.#closeSession();
      this.#run((attempt) => this.#rejoin(attempt), 'rejoinFailed');
    },
    retryReconnect: () => {
      this.#closeSession();
      this.#run((attempt) => this.#rejoin(attempt), 'rejoinFailed');
    },
    reportRestored: () => {
      this.#signals.restored();
      this.#failure = undefined;
      // Before the event: what a program does about that may lose the connection again.
      this.#connected.resolve();
      this.#options.emit({ type: 'restored', how: this.#wasReconnecting ? 'reconnected' : 'resumed' });
    },
    sendLeave: () => {
      this.#session?.leave(this.#reason);
    },
    closeSession: () => {
      this.#attempt.abandon(new OffhookError('OFFHOOK_CLOSED', 'the room was left'));
      this.#closeSession();
    },
    reportDisconnected: () => {
      const message = this.#failure ? this.#failure.toLine() : DisconnectReason[this.#reason];
      this.#options.emit({ type: 'disconnected', reason: this.#reason, message });
      this.#connected.reject(this.#closedError());
    },
  };

  /** Runs an attempt in place of the one before it; what it throws becomes an input. */
  #run(work: (attempt: Attempt) => Promise<void>, failed: FailedAttempt): void {
    this.#attempt.abandon();
    const attempt = new Attempt();
    this.#attempt = attempt;
    work(attempt)
      .catch((error: unknown) => {
        if (this.#attempt === attempt) this.#failed(failed, error);
      })
      .finally(() => attempt.end());
  }

  #failed(input: FailedAttempt, error: unknown): void {
    const failure = failureOf(error);
    this.#failure = failure;
    if (input === 'joinFailed') {
      this.#connected.reject(failure);
      this.#input('joinFailed');
      return;
    }
    this.#log.info(`attempt ${this.#pace.attempts} failed while ${this.#state}: ${failure.toLine()}`);
    if (failure.cause instanceof LeaveRequest) {
      this.#onLeave(failure.cause, failure);
      return;
    }
    const next = inputForFailure(failure, input, this.#pace.attempts >= this.#maxAttempts);
    if (next === 'refused') this.#reason = DisconnectReason.JOIN_FAILURE;
    this.#input(next);
  }

  async #open(attempt: Attempt): Promise<void> {
    const { deadlines, connect, emit } = this.#options;
    attempt.limit(deadlines.connect, 'connect');
    const session = await this.#join(attempt);
    // What the server says next is about the room as it was joined.
    emit({ type: 'joined', join: session.join });
    if (connect.waitFor === 'media') {
      session.start();
      await attempt.race(session.mediaUp);
    }
    this.#input('joined');
    session.start();
  }

  /** Joins, and tries again as often as the program asked for. */
  async #join(attempt: Attempt): Promise<Session> {
    for (let retries = this.#options.connect.joinRetries ?? 0; ; retries--) {
      try {
        return await this.#openSession(attempt);
      } catch (error) {
        const { code } = failureOf(error);
        if (retries <= 0 || attempt.isOver || !mayPass.includes(code)) throw error;
        this.#log.info(`joining failed; ${retries} tries are left: ${describeError(error)}`);
        await attempt.wait(joinAgainMs);
      }
    }
  }

  async #resume(attempt: Attempt): Promise<void> {
    const session = this.#session;
    if (!session?.mediaIsAlive)
      throw new OffhookError('OFFHOOK_NOT_SUPPORTED', 'there is no session to resume');
    session.closeSignal();
    const answerMs = await this.#nextAttempt(attempt);
    const signal = await this.#signals.open(attempt.signal, { resumed: session, answerMs });
    attempt.end();
    session.resume(signal);
    if (signal.first.case === 'reconnect')
      this.#options.emit({ type: 'sessionResumed', session, response: signal.first.value });
    attempt.limit(this.#options.deadlines.ice, 'media after a resume');
    await attempt.race(session.restartMedia());
    this.#wasReconnecting = false;
    this.#input('resumed');
  }

  async #rejoin(attempt: Attempt): Promise<void> {
    const answerMs = await this.#nextAttempt(attempt);
    const session = await this.#openSession(attempt, answerMs);
    attempt.end();
    const { deadlines, emit } = this.#options;
    attempt.limit(deadlines.ice + deadlines.dtls + deadlines.data, 'media after a reconnect');
    const work = [session.mediaUp];
    // What the server says next is newer than its JoinResponse.
    emit({
      type: 'sessionReplaced',
      session,
      signal: attempt.signal,
      waitUntil: (more) => void work.push(more),
    });
    session.start();
    await attempt.race(Promise.all(work));
    this.#input('rejoined');
  }

  get #maxAttempts(): number {
    return this.#options.connect.maxReconnectAttempts ?? limits.reconnectAttempts.value;
  }

  /**
   * Counts an attempt, and waits as long as it must.
   *
   * @returns how long the server has to accept the WebSocket, where that is less than its deadline
   * @throws the last failure when there are no attempts left
   */
  async #nextAttempt(attempt: Attempt): Promise<number | undefined> {
    if (this.#pace.attempts >= this.#maxAttempts && this.#failure) throw this.#failure;
    const { waitMs, limitMs, answerMs } = this.#pace.next();
    await attempt.wait(waitMs);
    attempt.limit(Math.min(this.#options.deadlines.candidateUrl, limitMs), 'reconnect');
    return answerMs;
  }

  /**
   * Opens the session that counts from now on; what an older one still reports is ignored. It carries nothing before it is
   * started.
   */
  async #openSession(attempt: Attempt, answerMs?: number): Promise<Session> {
    const { timeline, deadlines, connect } = this.#options;
    const session: Session = new Session({
      timeline,
      deadlines,
      iceServers: connect.iceServers,
      iceTransportPolicy: connect.iceTransportPolicy ?? 'all',
      emit: (event) => {
        if (this.#session === session) this.#onSessionEvent(event);
      },
    });
    try {
      const offer = (connect.singlePeerConnection ?? true) ? session.firstOffer() : undefined;
      const signal = await this.#signals.open(attempt.signal, { offer, answerMs });
      const { first } = signal;
      if (first.case !== 'join') throw new OffhookError('OFFHOOK_PROTOCOL', 'the server did not join');
      session.begin(signal, first.value);
      if (attempt.isOver) {
        session.leave();
        throw attempt.signal.reason;
      }
    } catch (error) {
      session.close();
      throw error;
    }
    this.#session = session;
    return session;
  }

  #onSessionEvent(event: SessionEvent): void {
    switch (event.type) {
      case 'leave':
        this.#onLeave(event.leave);
        break;
      case 'signalLost':
      case 'mediaLost':
        this.#lost(event.type, event.error);
        break;
      default:
        this.#options.emit(event);
    }
  }

  #closeSession(): void {
    if (!this.#session) return;
    this.#session.close();
    this.#session = undefined;
    this.#options.emit({ type: 'sessionLost' });
  }

  #lost(input: 'signalLost' | 'mediaLost' | 'leaveReconnect', error: OffhookError): void {
    this.#failure = error;
    this.#reason = input === 'mediaLost' ? DisconnectReason.MEDIA_FAILURE : DisconnectReason.SIGNAL_CLOSE;
    this.#log.warn(`the room lost its connection: ${error.toLine()}`);
    if (this.#state === 'connecting') this.#attempt.abandon(error);
    else this.#input(input);
  }

  #onLeave(leave: LeaveRequest, failure = leaveError(leave)): void {
    this.#reason = leave.reason;
    this.#failure = failure;
    this.#signals.leaving(leave, this.#session?.url);
    const input = inputForLeave(leave);
    this.#log.info(`${failure.message} (${input})`);
    this.#input(input);
  }

  #closedError(): OffhookError {
    return new OffhookError('OFFHOOK_CLOSED', 'the room is not connected', {
      ...(this.#failure ? { cause: this.#failure } : {}),
    });
  }
}

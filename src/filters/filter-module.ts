import { createLogger, type Logger } from '../logging/index.js';
import type { Timeline } from '../timeline/index.js';
import type { FilterHost, StartFilterHost } from './filter-host.js';
import { type ConnectingRoom, FilterLoad } from './filter-load.js';
import { describeLoad, describeStream, describeStreamEnd, reasonOf } from './filter-report.js';
import { type FilterRates, FilterSession, type FilterSessionOptions } from './filter-session.js';
import type { FilterState, FilterStatus } from './filter-status.js';
import { createStream } from './stream-creation.js';
import { StreamSlots } from './stream-slots.js';

export interface FilterModuleOptions {
  moduleId: string;
  startHost: StartFilterHost;
  /** Hz, for a filter that works at one rate only. */
  sampleRate?: number | undefined;
  /** After this long a filter that is still loading is reported unavailable; it may become ready later. */
  loadDeadlineMs: number;
  onStatus: (status: FilterStatus) => void;
}

/** Hz at which Opus is decoded. */
const codecRate = 48_000;
/** A host that answers no frame for this long after its filter was taken out is stuck, and is replaced. */
const stuckAfterMs = 2_000;
/** A stream's filter that was taken out is tried again twice: the machine may have been busy with something else. */
const retryAfterMs = [5_000, 30_000];
/** How long joining has the machine for itself. */
const headStartMs = 100;
const restartAfterMs = [250, 1_000, 4_000] as const;
/** A host that has lived this long has earned a fresh start. */
const forgetRestartsAfterMs = 10 * 60_000;

/** One filter: its host, its loads (one a server URL) and the sessions of its streams. */
export class FilterModule {
  readonly moduleId: string;
  #options: FilterModuleOptions;
  #log: Logger;
  #host: FilterHost | undefined;
  #loads = new Map<string, FilterLoad>();
  #sessions = new Set<FilterSession>();
  #slots = new StreamSlots<FilterSession>();
  #restartPolicy = new RestartPolicy();
  #restarts = 0;
  #restartTimer: NodeJS.Timeout | undefined;
  #refusal: string | undefined;
  #separateRates = false;
  #sampleRate: number | undefined;
  #framesBack = 0;
  #closed = false;

  constructor(options: FilterModuleOptions) {
    this.#options = options;
    this.moduleId = options.moduleId;
    this.#sampleRate = options.sampleRate;
    this.#log = createLogger(`filters/${options.moduleId}`);
    this.#start();
  }

  /** Begins on_load for the room. Returns at once. */
  roomConnecting({ url, token, timeline, loadDeadlineMs, joined }: ConnectingRoom): void {
    const load = this.#loads.get(url) ?? new FilterLoad(url, token);
    this.#loads.set(url, load);
    load.token = token;
    load.rooms++;
    load.deadlineMs = loadDeadlineMs ?? this.#options.loadDeadlineMs;
    this.#load(load, timeline, joined);
  }

  roomClosed(url: string): void {
    const load = this.#loads.get(url);
    if (!load || --load.rooms > 0) return;
    load.close();
    this.#loads.delete(url);
  }

  updateToken(url: string, token: string): void {
    const load = this.#loads.get(url);
    if (load) load.token = token;
    this.#host?.updateToken(url, token);
  }

  createSession(options: FilterSessionOptions): FilterSession {
    const session = new FilterSession(options, this.#ratesFor(options.sampleRate), {
      onInfo: (changed) => {
        const { attachment } = changed;
        attachment?.host.updateStreamInfo(attachment.slot, JSON.stringify(changed.streamInfo));
      },
      onFirstFailure: (failing, reason) =>
        this.#log
          .about(failing.options.subject ?? {})
          .warn(
            `failed on a frame; the frame passes unfiltered: ${reason} (track ${failing.streamInfo.trackId}; later failures are only counted)`,
          ),
      onTakenOut: (taken, reason) => this.#takeOut(taken, reason),
      onClose: (closed) => {
        this.#log.about(closed.options.subject ?? {}).info(describeStreamEnd(closed.status));
        this.#release(closed);
        this.#sessions.delete(closed);
      },
    });
    this.#sessions.add(session);
    // A stream outside of any room: the filter is made ready for its URL, without a token.
    if (this.#loads.size === 0) this.roomConnecting({ url: options.streamInfo.url, token: '' });
    this.#settle(session);
    return session;
  }

  get status(): FilterStatus {
    const loads = [...this.#loads.values()];
    const load = loads.find(({ state }) => state === 'ready') ?? loads.at(-1);
    const state: FilterState = this.#refusal !== undefined ? 'unavailable' : (load?.state ?? 'loading');
    return {
      moduleId: this.moduleId,
      state,
      reason: this.#refusal ?? load?.reason,
      elapsedMs: load?.elapsedMs ?? (load ? performance.now() - load.startedMs : 0),
      restarts: this.#restarts,
      streams: [...this.#sessions].map((session) => session.status),
    };
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#restartTimer);
    for (const load of this.#loads.values()) load.close();
    for (const session of this.#sessions) session.close();
    this.#host?.close();
    this.#host = undefined;
  }

  #start(): void {
    this.#host = this.#options.startHost({
      onOpened: ({ separateRates, sampleRate }) => {
        this.#separateRates = separateRates;
        this.#sampleRate ??= sampleRate;
      },
      onFrame: (slot, sequence, filtered) => {
        this.#framesBack++;
        this.#slots.get(slot)?.onFrame(sequence, filtered);
      },
      onFrameFailed: (slot, sequence, reason) => {
        this.#framesBack++;
        this.#slots.get(slot)?.onFrameFailed(sequence, reason);
      },
      onEnd: (reason, final) => this.#onHostEnd(reason, final),
    });
  }

  #load(load: FilterLoad, timeline?: Timeline, joined?: Promise<unknown>): void {
    const host = this.#host;
    if (!host) return;
    load.begin({
      moduleId: this.moduleId,
      timeline,
      onLate: () =>
        this.#enter(load, 'unavailable', 'on_load has not returned in time; it may still become ready'),
    });
    const begin = () => {
      if (this.#loads.get(load.url) !== load) return;
      host.load(load.url, load.token).then(
        () => this.#finish(host, load, undefined),
        (error: unknown) => this.#finish(host, load, reasonOf(error)),
      );
    };
    if (joined) afterHeadStart(joined, begin);
    else begin();
  }

  #finish(host: FilterHost, load: FilterLoad, error: string | undefined): void {
    if (host !== this.#host || this.#loads.get(load.url) !== load) return;
    if (load.finish(error)) this.#enter(load, error === undefined ? 'ready' : 'unavailable', error);
  }

  #enter(load: FilterLoad, state: FilterState, reason: string | undefined): void {
    load.enter(state, reason);
    this.#announce(load);
    for (const session of this.#sessions) this.#settle(session);
  }

  #announce(load: FilterLoad): void {
    const log = this.#log.about(load.timeline?.subject ?? {});
    log[load.state === 'ready' ? 'info' : 'warn'](describeLoad(load));
    this.#options.onStatus(this.status);
  }

  /** Brings a session to the state of the load that it depends on. */
  #settle(session: FilterSession): void {
    if (session.over || session.attachment) return;
    if (this.#refusal !== undefined) {
      session.detach('unavailable', this.#refusal);
      return;
    }
    const load = this.#loads.get(session.streamInfo.url) ?? [...this.#loads.values()].at(-1);
    if (load?.state === 'ready') this.#create(session, load);
    else if (load) session.detach(load.state, load.reason);
  }

  #create(session: FilterSession, load: FilterLoad): void {
    const host = this.#host;
    if (!host || this.#slots.find(session) !== undefined) return;
    const slot = this.#slots.take(session);
    if (slot === undefined) {
      session.detach('unavailable', 'it has more streams than it can have');
      return;
    }
    const isWanted = () => host === this.#host && this.#slots.get(slot) === session;
    const pass = (reason: string) => {
      session.detach('unavailable', reason);
      this.#announceStream(session);
    };
    const { deadlineMs, timeline } = load;
    createStream({
      host,
      slot,
      session,
      deadlineMs,
      span: timeline?.begin('filter-create', { filter: this.moduleId, deadlineMs }),
      onCreated: () => {
        if (isWanted()) {
          session.attach(host, slot);
          this.#announceStream(session);
        } else if (host === this.#host) {
          host.destroyStream(slot);
        }
      },
      onLate: () => {
        if (isWanted()) pass('its stream has not been created in time; it may still be');
      },
      onRefused: (reason) => {
        if (!isWanted()) return;
        this.#slots.free(slot);
        pass(reason);
      },
    });
  }

  #announceStream(session: FilterSession): void {
    const { status } = session;
    const log = this.#log.about(session.options.subject ?? {});
    log[status.state === 'ready' ? 'info' : 'warn'](describeStream(status));
    this.#options.onStatus(this.status);
  }

  /** A filter that converts between rates takes what the codec gives, as upstream has it. */
  #ratesFor(streamRate: number): FilterRates {
    const sampleRate = this.#sampleRate;
    if (sampleRate !== undefined) return { inputRate: sampleRate, outputRate: sampleRate };
    return { inputRate: this.#separateRates ? codecRate : streamRate, outputRate: streamRate };
  }

  /** Gives up a session's stream in the host. */
  #release(session: FilterSession): void {
    const slot = this.#slots.find(session);
    if (slot === undefined) return;
    this.#slots.free(slot);
    if (session.attachment) this.#host?.destroyStream(slot);
  }

  #takeOut(session: FilterSession, reason: string): void {
    this.#release(session);
    const retryMs = retryAfterMs[session.timesTakenOut - 1];
    const next = retryMs === undefined ? 'for good' : `until ${retryMs / 1_000} s have passed`;
    session.detach('unavailable', `taken out ${next}: ${reason}`);
    this.#announceStream(session);
    if (session.isAwaited) this.#endIfStuck();
    if (retryMs === undefined) return;
    setTimeout(() => {
      session.readmit();
      this.#settle(session);
    }, retryMs).unref();
  }

  /** Ends a host that answers no frame of any stream, for the other streams. */
  #endIfStuck(): void {
    const host = this.#host;
    const framesBack = this.#framesBack;
    setTimeout(() => {
      if (host !== this.#host || this.#framesBack !== framesBack || !host) return;
      host.close();
      this.#onHostEnd(`it has been stuck in a frame for ${stuckAfterMs} ms`, false);
    }, stuckAfterMs).unref();
  }

  #onHostEnd(reason: string, final: boolean): void {
    if (this.#closed) return;
    this.#host = undefined;
    this.#slots.clear();
    const delayMs = final ? undefined : this.#restartPolicy.next(performance.now());
    const next = delayMs === undefined ? 'it will not be started again' : `started again in ${delayMs} ms`;
    if (delayMs === undefined) this.#refusal = final ? reason : `${reason}, ${this.#restarts} restarts`;
    this.#log.warn(`${reason}; ${next}; audio passes unfiltered`);
    const told = this.#refusal ?? reason;
    for (const session of this.#sessions) {
      if (!session.over) session.detach('unavailable', told);
    }
    for (const load of this.#loads.values()) {
      load.abandon(told);
      this.#announce(load);
    }
    if (this.#loads.size === 0) this.#options.onStatus(this.status);
    if (delayMs !== undefined) {
      this.#restartTimer = setTimeout(() => this.#restart(), delayMs).unref();
    }
  }

  #restart(): void {
    this.#restarts++;
    this.#start();
    for (const load of this.#loads.values()) this.#load(load);
    for (const session of this.#sessions) this.#settle(session);
  }
}

/** Calls `begin` once `joined` has settled, or after 100 ms. */
function afterHeadStart(joined: Promise<unknown>, begin: () => void): void {
  let begun = false;
  const once = () => {
    clearTimeout(timer);
    if (!begun) begin();
    begun = true;
  };
  const timer = setTimeout(once, headStartMs).unref();
  joined.then(once, once);
}

/** How often, and after which pause, a host that ended is started again. */
export class RestartPolicy {
  #used = 0;
  #lastMs = Number.NEGATIVE_INFINITY;

  /** Milliseconds to wait before the next start, or undefined when there have been enough. */
  next(nowMs: number): number | undefined {
    if (nowMs - this.#lastMs > forgetRestartsAfterMs) this.#used = 0;
    const delayMs = restartAfterMs[this.#used];
    if (delayMs === undefined) return undefined;
    this.#used++;
    this.#lastMs = nowMs;
    return delayMs;
  }
}

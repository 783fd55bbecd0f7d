import { DisconnectReason, type LeaveRequest, ReconnectReason } from '@livekit/protocol';
import type { Deadlines } from '../../deadlines/index.js';
import { OffhookError } from '../../errors/index.js';
import { limits } from '../../limits.js';
import { isServerUrl, SignalClient } from '../../signal/index.js';
import type { Timeline } from '../../timeline/index.js';
import type { ConnectOptions } from '../options.js';
import { Session, type SessionEvents } from '../session.js';

interface SessionOpenerOptions {
  urls: readonly string[];
  token: string;
  timeline: Timeline;
  deadlines: Deadlines;
  connect: ConnectOptions;
}

interface SignalWishes {
  /** Of the session to resume; a new one begins without it. */
  participantSid?: string;
  /** How long the server has to accept the WebSocket, if that is less than its deadline. */
  answerMs?: number | undefined;
}

/** Opens sessions and signal connections with the token and the servers that are best at the time. */
export class SessionOpener {
  token: string;
  #options: SessionOpenerOptions;
  #regionUrls: readonly string[] = [];
  #avoid = new Set<string>();

  constructor(options: SessionOpenerOptions) {
    this.#options = options;
    this.token = options.token;
  }

  /**
   * @throws OffhookError whatever SignalClient.open throws; `OFFHOOK_NOT_SUPPORTED` when a session was to be resumed
   *   and the server began another one
   */
  async openSignal(
    abort: AbortSignal,
    { participantSid, answerMs }: SignalWishes = {},
  ): Promise<SignalClient> {
    const { urls, timeline, deadlines, connect } = this.#options;
    const signal = await SignalClient.open({
      urls: [...new Set([...this.#regionUrls, ...urls])],
      token: this.token,
      timeline,
      deadlines: {
        ...deadlines,
        websocket: Math.min(deadlines.websocket, answerMs ?? Number.POSITIVE_INFINITY),
      },
      abort,
      autoSubscribe: connect.autoSubscribe ?? true,
      adaptiveStream: connect.adaptiveStream ?? false,
      avoid: this.#avoid,
      ...(participantSid === undefined
        ? {}
        : { resume: { participantSid, reason: ReconnectReason.RR_SIGNAL_DISCONNECTED } }),
    });
    if (abort.aborted) {
      signal.close();
      throw abort.reason;
    }
    const resumed = signal.first.case === 'reconnect';
    if (resumed === (participantSid !== undefined)) return signal;
    signal.close();
    throw new OffhookError('OFFHOOK_NOT_SUPPORTED', 'the server does not know the session any more');
  }

  createSession(signal: SignalClient, events: SessionEvents): Session {
    const { timeline, deadlines, connect } = this.#options;
    if (signal.first.case !== 'join') throw new OffhookError('OFFHOOK_PROTOCOL', 'the server did not join');
    return new Session({
      signal,
      join: signal.first.value,
      timeline,
      deadlines,
      iceServers: connect.iceServers,
      iceTransportPolicy: connect.iceTransportPolicy ?? 'all',
      events,
    });
  }

  /** The server at `url` sent us away: where else to go, and whether it will be there. */
  leaving(leave: LeaveRequest, url: string | undefined): void {
    const offered = leave.regions?.regions.map((region) => region.url) ?? [];
    // One that is malformed must not keep us from the others.
    this.#regionUrls = offered.filter(isServerUrl).slice(0, limits.regions.value);
    if (url !== undefined && leave.reason === DisconnectReason.SERVER_SHUTDOWN) this.#avoid.add(url);
  }

  /** There is a connection again: what failed before may be tried like any other. */
  restored(): void {
    this.#avoid.clear();
  }
}

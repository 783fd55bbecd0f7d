import {
  DisconnectReason,
  type LeaveRequest,
  ReconnectReason,
  type SessionDescription,
} from '@livekit/protocol';
import type { Deadlines } from '../../deadlines/index.js';
import { OffhookError } from '../../errors/index.js';
import { limits } from '../../limits.js';
import { isServerUrl, SignalClient } from '../../signal/index.js';
import type { Timeline } from '../../timeline/index.js';
import { clientCapabilities, clientProtocol } from '../data/data-plane.js';
import type { ConnectOptions } from '../options.js';
import type { Session } from './session.js';

export interface SignalOpenerOptions {
  /** In order of preference. */
  urls: readonly string[];
  token: string;
  timeline: Timeline;
  deadlines: Deadlines;
  connect: ConnectOptions;
}

interface SignalWishes {
  /** The session to resume; a new one begins without it. */
  resumed?: Session;
  /** Of a new session that is to have one peer connection. */
  offer?: SessionDescription | undefined;
  /** How long the server has to accept the WebSocket, if that is less than its deadline. */
  answerMs?: number | undefined;
}

/** Opens signal connections with the token and to the servers that are best at the time. */
export class SignalOpener {
  token: string;
  #options: SignalOpenerOptions;
  #regionUrls: readonly string[] = [];
  #avoid = new Set<string>();

  constructor(options: SignalOpenerOptions) {
    this.#options = options;
    this.token = options.token;
  }

  /**
   * @throws OffhookError whatever SignalClient.open throws; `OFFHOOK_NOT_SUPPORTED` when a session was to be resumed
   *   and the server began another one
   */
  async open(abort: AbortSignal, { resumed, offer, answerMs }: SignalWishes): Promise<SignalClient> {
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
      clientProtocol,
      capabilities: clientCapabilities,
      avoid: this.#avoid,
      ...(resumed && {
        resume: {
          participantSid: resumed.join.participant?.sid ?? '',
          reason: ReconnectReason.RR_SIGNAL_DISCONNECTED,
        },
      }),
      ...((offer || resumed?.isSingle) && { singleConnection: { offer } }),
    });
    if (abort.aborted) {
      signal.abandon(abort.reason);
      throw abort.reason;
    }
    if ((signal.first.case === 'reconnect') === (resumed !== undefined)) return signal;
    signal.close();
    throw new OffhookError('OFFHOOK_NOT_SUPPORTED', 'the server no longer knows the session');
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

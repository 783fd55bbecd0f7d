import { limits } from '../limits.js';
import {
  Headers,
  hasOption,
  parseNumber,
  type SipMessage,
  type SipRequest,
  type SipResponse,
} from '../message/index.js';

/** What we ask for ourselves. */
export const defaultSessionS = 1_800;

export interface SessionInterval {
  intervalS: number;
  /** Who sends the refreshes. */
  refresher: 'us' | 'peer';
}

/** The seconds of Session-Expires; undefined without one. A value that is not a number counts as none. */
export function sessionExpiresOf({
  headers,
}: SipMessage): { intervalS: number; refresher?: string } | undefined {
  const [seconds, ...params] = (headers.get('Session-Expires') ?? '').split(';');
  const intervalS = parseNumber(seconds ?? '', 0x7fffffff);
  if (intervalS === undefined) return undefined;
  const refresher = params
    .map((param) => /^\s*refresher\s*=\s*(uac|uas)\s*$/i.exec(param)?.[1])
    .find((role) => role !== undefined);
  return refresher === undefined ? { intervalS } : { intervalS, refresher: refresher.toLowerCase() };
}

/**
 * What the answer to a request with an offer of a session interval says, as its server (RFC 4028, section 9).
 *
 * @returns undefined when neither side wants a timer
 */
export function acceptInterval(request: SipRequest): SessionInterval | undefined {
  const asked = sessionExpiresOf(request);
  const supports = hasOption(request, 'Supported', 'timer') || hasOption(request, 'Require', 'timer');
  if (!asked && !supports) return undefined;
  const leastS = parseNumber(request.headers.get('Min-SE') ?? '', limits.sessionS.value) ?? 0;
  const intervalS = Math.max(asked?.intervalS ?? defaultSessionS, leastS);
  const peerRefreshes = supports && asked?.refresher !== 'uas';
  return { intervalS, refresher: peerRefreshes ? 'peer' : 'us' };
}

/** What the peer settled on, as its client. */
export function settledInterval(response: SipResponse): SessionInterval | undefined {
  const settled = sessionExpiresOf(response);
  if (!settled) return undefined;
  return { intervalS: settled.intervalS, refresher: settled.refresher === 'uas' ? 'peer' : 'us' };
}

/** The headers of an answer that settles on `interval`; `role` is ours in this transaction. */
export function intervalHeaders({ intervalS, refresher }: SessionInterval, role: 'uac' | 'uas'): Headers {
  const other = role === 'uac' ? 'uas' : 'uac';
  const headers = Headers.of({
    'Session-Expires': `${intervalS};refresher=${refresher === 'us' ? role : other}`,
  });
  // A client that does not know of timers must not be required to.
  if (role === 'uas' && refresher === 'peer') headers.add('Require', 'timer');
  return headers;
}

/** When a session is refreshed or is over; time is passed in. */
export class SessionTimer {
  readonly interval: SessionInterval;
  #refreshMs: number;
  #expiresMs: number;

  constructor(interval: SessionInterval, nowMs: number) {
    this.interval = interval;
    this.#refreshMs = 0;
    this.#expiresMs = 0;
    this.refreshed(nowMs);
  }

  get nextMs(): number {
    return this.interval.refresher === 'us' ? Math.min(this.#refreshMs, this.#expiresMs) : this.#expiresMs;
  }

  refreshed(nowMs: number): void {
    const { intervalS, refresher } = this.interval;
    this.#refreshMs = nowMs + (intervalS * 1_000) / 2;
    // Whoever waits for refreshes hangs up a little before the end (RFC 4028, section 10).
    const earlyS = refresher === 'peer' ? Math.min(32, intervalS / 3) : 0;
    this.#expiresMs = nowMs + (intervalS - earlyS) * 1_000;
  }

  due(nowMs: number): 'refresh' | 'expired' | undefined {
    if (nowMs >= this.#expiresMs) return 'expired';
    if (this.interval.refresher !== 'us' || nowMs < this.#refreshMs) return undefined;
    this.#refreshMs = Number.POSITIVE_INFINITY;
    return 'refresh';
  }
}

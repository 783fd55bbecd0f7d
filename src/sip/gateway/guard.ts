import { createLogger } from '../../logging/index.js';
import { limits } from '../limits.js';
import type { SipRequest } from '../message/index.js';
import type { Flow } from '../transport/index.js';

const log = createLogger('sip/guard');

export interface GuardLimits {
  /** Messages a second from one address, and at once. */
  messages: { perSecond: number; burst: number };
  /** Calls a second from one address, and at once. */
  calls: { perSecond: number; burst: number };
  /** Wrong credentials after which an address is not listened to for a while. */
  wrongCredentials: number;
  /** Milliseconds that it is not listened to; doubled every time, up to an hour. */
  blockMs: number;
}

export const defaultGuardLimits: GuardLimits = {
  messages: { perSecond: limits.messagesPerSecond.value, burst: limits.messageBurst.value },
  calls: { perSecond: limits.callsPerSecond.value, burst: limits.callBurst.value },
  wrongCredentials: limits.wrongCredentials.value,
  blockMs: 60_000,
};

/** Programs that only ever look for open systems. */
const scanners =
  /friendly-?scanner|sip-?vicious|sundayddr|sipcli|sip-?scan|iwar|vaxsip|sipsak|csipsimple.*scan|pplsip|smap\b|enumiax|gulp\b|nmap/i;

class Bucket {
  #tokens: number;
  #atMs: number;

  constructor(burst: number, nowMs: number) {
    this.#tokens = burst;
    this.#atMs = nowMs;
  }

  take({ perSecond, burst }: { perSecond: number; burst: number }, nowMs: number): boolean {
    this.#tokens = Math.min(burst, this.#tokens + ((nowMs - this.#atMs) / 1_000) * perSecond);
    this.#atMs = nowMs;
    if (this.#tokens < 1) return false;
    this.#tokens--;
    return true;
  }
}

interface Known {
  messages: Bucket;
  calls: Bucket;
  wrong: number;
  blockedUntilMs: number;
  blocks: number;
}

/**
 * Decides who is listened to, by address: floods and scanners get no answer at all, and whoever guesses credentials is
 * not heard for a while. Time is passed in; the table of addresses is bounded.
 */
export class SipGuard {
  readonly #limits: GuardLimits;
  readonly #nowMs: () => number;
  readonly #addresses = new Map<string, Known>();

  constructor(nowMs: () => number, changed: Partial<GuardLimits> = {}) {
    this.#nowMs = nowMs;
    this.#limits = { ...defaultGuardLimits, ...changed };
  }

  get knownAddresses(): number {
    return this.#addresses.size;
  }

  /** Whether a message is looked at. */
  admit({ remote }: Flow): boolean {
    const nowMs = this.#nowMs();
    const known = this.#know(remote.address, nowMs);
    return nowMs >= known.blockedUntilMs && known.messages.take(this.#limits.messages, nowMs);
  }

  /** Whether a request gets any answer. */
  screen({ headers, from }: SipRequest, { remote, protocol }: Flow): boolean {
    const agent = headers.get('User-Agent') ?? '';
    if (!scanners.test(agent) && !scanners.test(from.displayName ?? '')) return true;
    log.info(`${remote.address}: a scanner ("${agent.slice(0, 60)}") gets no answer`);
    // A datagram may come from anybody: it must not silence the address that it claims.
    if (protocol !== 'udp') this.#block(this.#know(remote.address, this.#nowMs()), remote.address);
    return false;
  }

  /** Whether an address may begin another call now. */
  admitCall(address: string): boolean {
    const nowMs = this.#nowMs();
    return this.#know(address, nowMs).calls.take(this.#limits.calls, nowMs);
  }

  /** Credentials were wrong. */
  wrongCredentials(address: string): void {
    const known = this.#know(address, this.#nowMs());
    known.wrong++;
    if (known.wrong >= this.#limits.wrongCredentials) this.#block(known, address);
  }

  rightCredentials(address: string): void {
    const known = this.#addresses.get(address);
    if (known) known.wrong = 0;
  }

  #block(known: Known, address: string): void {
    const blockMs = Math.min(limits.blockMs.value, this.#limits.blockMs * 2 ** known.blocks);
    known.blocks++;
    known.wrong = 0;
    known.blockedUntilMs = this.#nowMs() + blockMs;
    log.warn(
      `${address} is ignored for ${Math.round(blockMs / 1_000)} s: it has sent too many wrong requests`,
    );
  }

  #know(address: string, nowMs: number): Known {
    const { messages, calls } = this.#limits;
    const known = this.#addresses.get(address) ?? {
      messages: new Bucket(messages.burst, nowMs),
      calls: new Bucket(calls.burst, nowMs),
      wrong: 0,
      blockedUntilMs: 0,
      blocks: 0,
    };
    this.#addresses.delete(address);
    this.#addresses.set(address, known);
    if (this.#addresses.size > limits.addresses.value)
      this.#addresses.delete(this.#addresses.keys().next().value!);
    return known;
  }
}

import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { limits } from '../limits.js';
import { Headers, type SipRequest } from '../message/index.js';
import { formatChallenge, isResponseRight, parseCredentials } from './digest.js';

/** How long a nonce may be used; afterwards the client is asked again and not counted as wrong. */
const nonceLifetimeMs = 5 * 60_000;

export type AuthOutcome =
  | { kind: 'ok'; username: string }
  /** No credentials, or credentials for a nonce that is no longer valid. */
  | { kind: 'challenge'; stale: boolean }
  /** Credentials that are wrong. */
  | { kind: 'wrong'; username: string };

/**
 * Checks digest credentials of requests (RFC 7616). A nonce is a time with our signature on it and on the address that was
 * asked, so that asking costs no memory, and nobody can give wrong credentials in another's name; what is remembered is how often
 * each one was used.
 */
export class Authenticator {
  readonly realm: string;
  readonly #nowMs: () => number;
  readonly #key = randomBytes(32);
  readonly #counts = new Map<string, number>();

  /** @param nowMs monotonic time in milliseconds */
  constructor(realm: string, nowMs: () => number) {
    this.realm = realm;
    this.#nowMs = nowMs;
  }

  /**
   * WWW-Authenticate headers: MD5 first, because telephones that know nothing else give up on an algorithm that they do
   * not know; whoever prefers SHA-256 finds it behind.
   */
  challenge(stale: boolean, address: string): Headers {
    const headers = new Headers();
    const nonce = this.#makeNonce(address);
    for (const algorithm of ['MD5', 'SHA-256'] as const) {
      const challenge = { realm: this.realm, nonce, algorithm, qopAuth: true, stale };
      headers.add('WWW-Authenticate', formatChallenge(challenge));
    }
    return headers;
  }

  /**
   * @param address where the request came from
   * @param passwordOf the password of a user; undefined for one that is not known
   */
  check(
    request: SipRequest,
    address: string,
    passwordOf: (username: string) => string | undefined,
  ): AuthOutcome {
    const credentials = [
      ...request.headers.getAll('Authorization'),
      ...request.headers.getAll('Proxy-Authorization'),
    ]
      .map(parseCredentials)
      .find((parsed) => parsed?.realm === this.realm);
    if (!credentials) return { kind: 'challenge', stale: false };
    const { username, nonce, qop, nonceCount } = credentials;
    const age = this.#ageOf(nonce, address);
    if (age === undefined) return { kind: 'challenge', stale: false };
    const password = passwordOf(username);
    // An unknown user takes as long as a known one, so that names cannot be told apart by time.
    const right = isResponseRight(credentials, request.method, password ?? randomBytes(16).toString('hex'));
    // The URI that they were made for is not compared: proxies on the way change it, and telephones leave the user out.
    if (password === undefined || !right) return { kind: 'wrong', username };
    if (age > nonceLifetimeMs) return { kind: 'challenge', stale: true };
    if (qop !== undefined && !this.#count(nonce, Number.parseInt(nonceCount ?? '', 16))) {
      return { kind: 'challenge', stale: true };
    }
    return { kind: 'ok', username };
  }

  /** Whether a nonce's count has grown: a request that was captured and sent again has an old one. */
  #count(nonce: string, count: number): boolean {
    if (!Number.isInteger(count) || count <= (this.#counts.get(nonce) ?? 0)) return false;
    this.#counts.delete(nonce);
    this.#counts.set(nonce, count);
    if (this.#counts.size > limits.nonces.value) this.#counts.delete(this.#counts.keys().next().value!);
    return true;
  }

  #makeNonce(address: string): string {
    const issued = Buffer.alloc(16);
    issued.writeDoubleBE(this.#nowMs(), 0);
    randomBytes(8).copy(issued, 8);
    return Buffer.concat([issued, this.#sign(issued, address)]).toString('base64url');
  }

  #ageOf(nonce: string, address: string): number | undefined {
    const bytes = Buffer.from(nonce, 'base64url');
    if (bytes.length !== 32) return undefined;
    const issued = bytes.subarray(0, 16);
    if (!timingSafeEqual(bytes.subarray(16), this.#sign(issued, address))) return undefined;
    return this.#nowMs() - issued.readDoubleBE(0);
  }

  #sign(issued: Buffer, address: string): Buffer {
    return createHmac('sha256', this.#key).update(issued).update(address).digest().subarray(0, 16);
  }
}

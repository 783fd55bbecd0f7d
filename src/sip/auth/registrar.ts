import { limits } from '../limits.js';
import {
  formatNameAddr,
  Headers,
  isSameResource,
  isSipUri,
  type NameAddr,
  nameAddrs,
  parseNumber,
  type SipRequest,
  type SipUri,
  userOf,
} from '../message/index.js';
import type { Flow } from '../transport/index.js';

const defaultExpiresS = 600;

/** Where a softphone that has logged in can be called. */
export interface Binding {
  contact: SipUri;
  /** Way back to it, through its NAT. */
  flow: Flow;
  expiresMs: number;
  callId: string;
  sequence: number;
}

export type RegisterOutcome =
  | { status: 200; headers: Headers }
  | { status: 400 | 403 | 423 | 500; headers: Headers };

/** Who has logged in (RFC 3261, section 10.3). Pure: time is passed in. */
export class Registrar {
  readonly #users = new Map<string, Binding[]>();

  get userCount(): number {
    return this.#users.size;
  }

  /** The contacts of a user that are valid now, the latest first. */
  find(user: string, nowMs: number): Binding[] {
    const valid = (this.#users.get(user) ?? []).filter(({ expiresMs }) => expiresMs > nowMs);
    if (valid.length === 0) this.#users.delete(user);
    return [...valid].reverse();
  }

  /** Handles a REGISTER whose sender has proved to be `username`, or needs not to. */
  register(request: SipRequest, flow: Flow, nowMs: number): RegisterOutcome {
    const user = userOf(request.to.uri);
    if (user === '') return { status: 400, headers: new Headers() };
    const bindings = this.find(user, nowMs);
    if (bindings.length === 0 && this.#users.size >= limits.users.value) this.#forgetExpired(nowMs);
    if (bindings.length === 0 && this.#users.size >= limits.users.value)
      return { status: 403, headers: new Headers() };
    if (request.headers.list('Contact').includes('*')) return this.#removeAll(user, bindings, request);
    const kept = bindings.reverse();
    for (const contact of nameAddrs(request.headers, 'Contact') ?? []) {
      const refusal = bind(kept, contact, request, flow, nowMs);
      if (refusal) return refusal;
    }
    if (kept.length > 0) this.#users.set(user, kept);
    else this.#users.delete(user);
    const headers = new Headers();
    for (const { contact, expiresMs } of kept) {
      const params = new Map([['expires', String(Math.ceil((expiresMs - nowMs) / 1_000))]]);
      headers.add('Contact', formatNameAddr({ uri: contact, params }));
    }
    return { status: 200, headers };
  }

  #removeAll(user: string, bindings: readonly Binding[], request: SipRequest): RegisterOutcome {
    const headers = new Headers();
    // All of them and nothing else, and only to remove them (RFC 3261, section 10.3).
    const isAlone = request.headers.list('Contact').length === 1;
    if (!isAlone || request.headers.get('Expires')?.trim() !== '0') return { status: 400, headers };
    if (bindings.some((known) => isOutdated(request, known))) return { status: 500, headers };
    this.#users.delete(user);
    return { status: 200, headers };
  }

  #forgetExpired(nowMs: number): void {
    for (const user of [...this.#users.keys()]) this.find(user, nowMs);
  }
}

function expiresOf({ params }: NameAddr, { headers }: SipRequest): number {
  const text = params.get('expires') ?? headers.get('Expires');
  if (text === undefined) return defaultExpiresS;
  // What is too great to be a number of seconds is as long as possible (RFC 4475, section 3.1.2.4).
  return (
    parseNumber(text, 0xffffffff) ?? (/^\d+$/.test(text.trim()) ? limits.bindingS.value : defaultExpiresS)
  );
}

/** A request that was overtaken by a later one of the same phone. */
function isOutdated({ callId, cseq }: SipRequest, known: Binding): boolean {
  return known.callId === callId && known.sequence >= cseq.sequence;
}

/** Takes one Contact into the bindings of its user, or out of them; returns why not. */
function bind(
  kept: Binding[],
  contact: NameAddr,
  request: SipRequest,
  flow: Flow,
  nowMs: number,
): RegisterOutcome | undefined {
  const { uri } = contact;
  const askedS = expiresOf(contact, request);
  if (!isSipUri(uri)) return { status: 400, headers: new Headers() };
  if (askedS > 0 && askedS < limits.leastBindingS.value) {
    return { status: 423, headers: Headers.of({ 'Min-Expires': String(limits.leastBindingS.value) }) };
  }
  const at = kept.findIndex((known) => isSameResource(known.contact, uri));
  if (at >= 0 && isOutdated(request, kept[at]!)) return { status: 500, headers: new Headers() };
  if (at >= 0) kept.splice(at, 1);
  if (askedS === 0) return undefined;
  const expiresMs = nowMs + Math.min(askedS, limits.bindingS.value) * 1_000;
  kept.push({ contact: uri, flow, expiresMs, callId: request.callId, sequence: request.cseq.sequence });
  if (kept.length > limits.contactsPerUser.value) kept.shift();
  return undefined;
}

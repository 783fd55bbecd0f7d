import { OffhookError } from '../../errors/index.js';
import { createLogger } from '../../logging/index.js';
import { credentialsFor, type SentRequest, type SipEndpoint } from '../call/index.js';
import {
  escapeUser,
  formatNameAddr,
  formatUri,
  Headers,
  isSipUri,
  type NameAddr,
  nameAddrs,
  newTag,
  parseNumber,
  parseUri,
  type SipRequest,
  type SipResponse,
  type SipUri,
} from '../message/index.js';
import type { Flow, SipProtocol } from '../transport/index.js';
import type { ProviderRegistration } from './directory.js';

const log = createLogger('sip/login');
const defaultExpiresS = 600;
const firstRetryMs = 2_000;
const maxRetryMs = 300_000;
const logoutMs = 500;
/** A NAT between us and the provider forgets a way that is not used: after half a minute with UDP (RFC 5626, section 4.4.1). */
const keepAliveMs: Record<SipProtocol, number> = { udp: 25_000, tcp: 100_000, tls: 100_000 };
const ping = Buffer.from('\r\n\r\n');

/** Keeps us logged in at a provider (RFC 3261, section 10.2), so that its calls come here. */
export class ProviderLogin {
  readonly #endpoint: SipEndpoint;
  readonly #registration: ProviderRegistration;
  readonly #registrar: SipUri;
  readonly #callId = newTag();
  readonly #tag = newTag();
  readonly #abort = new AbortController();
  #sequence = 0;
  #expiresS: number;
  #retryMs = firstRetryMs;
  #cancelTimer: (() => void) | undefined;
  #cancelKeepAlive: (() => void) | undefined;
  #sent: SentRequest | undefined;
  #isLoggedIn = false;
  /** The provider has our credentials, even if its answer is still on its way. */
  #mayBeLoggedIn = false;
  #closed = false;
  #loggedOut: () => void = () => {};

  /** @throws OffhookError `OFFHOOK_INVALID_URL` when the registrar is no SIP URI */
  constructor(endpoint: SipEndpoint, registration: ProviderRegistration) {
    const registrar = parseUri(registration.registrar);
    if (!registrar || !isSipUri(registrar)) {
      throw new OffhookError(
        'OFFHOOK_INVALID_URL',
        `the registrar "${registration.registrar}" is not a SIP URI`,
        {
          advice: 'Give one such as sip:provider.example or sip:provider.example;transport=tcp.',
        },
      );
    }
    this.#endpoint = endpoint;
    this.#registration = registration;
    this.#registrar = registrar;
    this.#expiresS = registration.expiresS ?? defaultExpiresS;
    this.#register();
  }

  get isLoggedIn(): boolean {
    return this.#isLoggedIn;
  }

  /** A connection has ended: if it is the one that calls come by, we log in by another. */
  flowClosed(flow: Flow): void {
    if (this.#closed || !this.#isLoggedIn || flow !== this.#sent?.flow) return;
    this.#failed('the connection has ended');
  }

  /** Logs out; resolves when the provider has agreed, or after half a second. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#cancelTimer?.();
    this.#cancelKeepAlive?.();
    if (this.#mayBeLoggedIn) {
      this.#expiresS = 0;
      await new Promise<void>((resolve) => {
        this.#loggedOut = resolve;
        this.#register();
        this.#cancelTimer = this.#endpoint.clock.schedule(resolve, logoutMs);
      });
      this.#cancelTimer?.();
    }
    this.#abort.abort();
  }

  #register(authorization?: { name: string; value: string; nonce: string }): void {
    this.#sequence++;
    this.#endpoint
      .requestTo(
        this.#registrar,
        undefined,
        (flow) => this.#request(flow, authorization),
        {
          onResponse: (response) => this.#receive(response, authorization?.nonce),
          onFailed: (why) => this.#failed(why),
        },
        this.#abort.signal,
      )
      .then((sent) => {
        this.#sent = sent;
      });
  }

  #request(flow: Flow, authorization: { name: string; value: string } | undefined): SipRequest {
    const { username, user = username } = this.#registration;
    const { host, port, scheme } = this.#registrar;
    const uri: SipUri = {
      scheme,
      host,
      ...(port === undefined ? {} : { port }),
      params: new Map(),
      headers: '',
    };
    const address: NameAddr = { uri: { ...uri, user: escapeUser(user) }, params: new Map() };
    const headers = Headers.of({
      'Max-Forwards': '70',
      Contact: formatNameAddr(this.#endpoint.contact(flow)),
      Expires: String(this.#expiresS),
    });
    if (authorization) {
      headers.add(authorization.name, authorization.value);
      this.#mayBeLoggedIn = true;
    }
    return {
      kind: 'request',
      method: 'REGISTER',
      uri,
      vias: [],
      from: { ...address, params: new Map([['tag', this.#tag]]) },
      to: address,
      callId: this.#callId,
      cseq: { sequence: this.#sequence, method: 'REGISTER' },
      headers,
      body: Buffer.alloc(0),
    };
  }

  #receive(response: SipResponse, lastNonce: string | undefined): void {
    const { status, reason, headers, cseq } = response;
    // One that was under way when we began to log out says nothing about that.
    if (status < 200 || cseq.sequence !== this.#sequence) return;
    if (status < 300) {
      this.#loggedIn(response);
      return;
    }
    const { username, password } = this.#registration;
    const { host, port, scheme } = this.#registrar;
    const uri = formatUri({
      scheme,
      host,
      ...(port === undefined ? {} : { port }),
      params: new Map(),
      headers: '',
    });
    const again = credentialsFor(response, { username, password }, 'REGISTER', uri, lastNonce);
    const minS = status === 423 ? parseNumber(headers.get('Min-Expires') ?? '', 86_400) : undefined;
    if (minS !== undefined && minS > this.#expiresS) this.#expiresS = minS;
    if (again || minS !== undefined) this.#register(again);
    else this.#failed(`${status} ${reason}`);
  }

  #loggedIn(response: SipResponse): void {
    if (this.#closed) {
      this.#loggedOut();
      return;
    }
    if (!this.#isLoggedIn) log.info(`logged in at ${this.#registrar.host} as ${this.#registration.username}`);
    this.#isLoggedIn = true;
    this.#mayBeLoggedIn = true;
    this.#retryMs = firstRetryMs;
    this.#keepAlive();
    const grantedS = this.#grantedS(response) ?? this.#expiresS;
    this.#later(Math.max(30, grantedS * 0.8) * 1_000);
  }

  /** Keeps the way open by which the provider's calls come, between one login and the next. */
  #keepAlive(): void {
    this.#cancelKeepAlive?.();
    const flow = this.#sent?.flow;
    if (!flow) return;
    this.#cancelKeepAlive = this.#endpoint.clock.schedule(() => {
      flow.send(ping);
      this.#keepAlive();
    }, keepAliveMs[flow.protocol]);
  }

  /** The time that the provider gave to our contact, which others of the same user may differ from. */
  #grantedS({ headers }: SipResponse): number | undefined {
    const contacts = nameAddrs(headers, 'Contact') ?? [];
    const own = contacts.find(
      ({ uri, params }) => params.has('expires') && isSipUri(uri) && uri.user === 'offhook',
    );
    const text = own?.params.get('expires') ?? headers.get('Expires');
    return text === undefined ? undefined : parseNumber(text, 86_400);
  }

  #failed(why: string): void {
    if (this.#closed) {
      this.#loggedOut();
      return;
    }
    this.#isLoggedIn = false;
    this.#mayBeLoggedIn = false;
    this.#cancelKeepAlive?.();
    log.warn(
      `login at ${this.#registrar.host} failed: ${why}; the next attempt is in ${Math.round(this.#retryMs / 1_000)} s`,
    );
    this.#later(this.#retryMs * (0.75 + Math.random() / 2));
    this.#retryMs = Math.min(maxRetryMs, this.#retryMs * 2);
  }

  #later(delayMs: number): void {
    this.#cancelTimer?.();
    this.#cancelTimer = this.#endpoint.clock.schedule(() => this.#register(), delayMs);
  }
}

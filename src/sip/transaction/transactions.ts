import type { Clock } from '../../audio/index.js';
import { limits } from '../limits.js';
import { branchCookie, formatHostPort, type SipRequest, type SipResponse, tagOf } from '../message/index.js';
import { ClientTransaction, type ClientTransactionOptions } from './client-transaction.js';
import { ServerTransaction, type ServerTransactionOptions } from './server-transaction.js';

type Timed = ClientTransaction | ServerTransaction;

/** All transactions that are under way, by what their messages have in common, with a timer each. */
export class Transactions {
  readonly #clock: Clock;
  readonly #clients = new Map<string, ClientTransaction>();
  readonly #servers = new Map<string, ServerTransaction>();
  readonly #timers = new Map<Timed, () => void>();
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#clients.size + this.#servers.size;
  }

  get isFull(): boolean {
    return this.size >= limits.transactions.value;
  }

  /** Sends a request and follows it until it is answered. */
  request(options: Omit<ClientTransactionOptions, 'nowMs'>): ClientTransaction {
    const transaction = new ClientTransaction({ ...options, nowMs: this.#clock.nowMs() });
    const key = clientKey(options.request);
    this.#clients.set(key, transaction);
    this.#follow(transaction, () => this.#clients.delete(key));
    return transaction;
  }

  /** Begins the server's side of a request that is new. */
  serve(options: Omit<ServerTransactionOptions, 'nowMs'>): ServerTransaction {
    const transaction = new ServerTransaction({ ...options, nowMs: this.#clock.nowMs() });
    this.#servers.set(serverKey(options.request), transaction);
    return transaction;
  }

  respond(transaction: ServerTransaction, response: SipResponse): void {
    transaction.respond(response, this.#clock.nowMs());
    this.#follow(transaction, () => this.#servers.delete(serverKey(transaction.request)));
  }

  /**
   * Refuses a request and keeps nothing of it. A refusal that is repeated until it is acknowledged would reach whoever the
   * request pretends to come from eleven times; when it is lost, the request comes again.
   */
  refuse(transaction: ServerTransaction, response: SipResponse): void {
    transaction.refuse(response);
    this.#follow(transaction, () => this.#servers.delete(serverKey(transaction.request)));
  }

  /** The transaction that a request repeats, or that an ACK belongs to. */
  findServer(request: SipRequest): ServerTransaction | undefined {
    return this.#servers.get(serverKey(request));
  }

  /** The INVITE that a CANCEL is for. */
  findCancelled(cancel: SipRequest): ServerTransaction | undefined {
    return this.#servers.get(serverKey(cancel, 'INVITE'));
  }

  acknowledge(transaction: ServerTransaction): void {
    transaction.acknowledge(this.#clock.nowMs());
    this.#follow(transaction, () => this.#servers.delete(serverKey(transaction.request)));
  }

  /** @returns whether a transaction of ours was waiting for it */
  receive(response: SipResponse): boolean {
    const key = clientKey(response);
    const transaction = this.#clients.get(key);
    if (!transaction) return false;
    transaction.receive(response, this.#clock.nowMs());
    this.#follow(transaction, () => this.#clients.delete(key));
    return true;
  }

  /** A transaction's state has been changed from outside: its timer is set anew. */
  update(transaction: ClientTransaction): void {
    this.#follow(transaction, () => this.#clients.delete(clientKey(transaction.request)));
  }

  /** A connection has ended: requests over it to which nothing has come have failed. */
  connectionEnded(connection: object): void {
    for (const transaction of [...this.#clients.values()]) {
      if (transaction.connection !== connection) continue;
      transaction.connectionEnded();
      this.update(transaction);
    }
  }

  /** Ends all of them, without a word to anybody. */
  close(): void {
    this.#closed = true;
    for (const cancel of this.#timers.values()) cancel();
    this.#timers.clear();
    this.#clients.clear();
    this.#servers.clear();
  }

  #follow(transaction: Timed, forget: () => void): void {
    this.#timers.get(transaction)?.();
    this.#timers.delete(transaction);
    if (this.#closed) return;
    if (transaction.state === 'terminated') {
      forget();
      return;
    }
    const { nextTimeoutMs } = transaction;
    if (nextTimeoutMs === undefined) return;
    const delayMs = Math.max(0, nextTimeoutMs - this.#clock.nowMs());
    const expire = () => {
      // Timers may come a fraction of a millisecond early.
      transaction.handleTimeout(Math.max(this.#clock.nowMs(), nextTimeoutMs));
      this.#follow(transaction, forget);
    };
    this.#timers.set(transaction, this.#clock.schedule(expire, delayMs));
  }
}

/** Branch and method (RFC 3261, section 17.1.3). */
function clientKey({ vias, cseq }: SipRequest | SipResponse): string {
  return `${vias[0]!.params.get('branch')} ${cseq.method}`;
}

/**
 * Branch, sent-by and method (RFC 3261, section 17.2.3). A branch without the cookie is from RFC 2543 and not unique: a
 * request of it is told by its dialog and sequence.
 */
function serverKey(
  request: SipRequest,
  method = request.method === 'ACK' ? 'INVITE' : request.method,
): string {
  const via = request.vias[0]!;
  const branch = via.params.get('branch') ?? '';
  const sentBy = formatHostPort(via.host, via.port);
  if (branch.startsWith(branchCookie) && branch.length > branchCookie.length) {
    return `${branch} ${sentBy} ${method}`;
  }
  const { callId, from, cseq } = request;
  return `2543 ${callId} ${tagOf(from) ?? ''} ${cseq.sequence} ${sentBy} ${branch} ${method}`;
}

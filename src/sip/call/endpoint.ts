import { type Clock, systemClock } from '../../audio/index.js';
import { describeError } from '../../errors/index.js';
import { createLogger } from '../../logging/index.js';
import { limits } from '../limits.js';
import {
  formatHostPort,
  formatUri,
  Headers,
  isSipUri,
  type NameAddr,
  newBranch,
  newTag,
  parseMessage,
  responseTo,
  type SipMessage,
  type SipRequest,
  type SipResponse,
  type SipUri,
  serializeMessage,
  tagOf,
  type Via,
} from '../message/index.js';
import { type ClientTransaction, type ServerTransaction, Transactions } from '../transaction/index.js';
import {
  type Flow,
  isReliable,
  resolveTarget,
  type SipProtocol,
  type SipTarget,
  type TransportOptions,
  Transports,
} from '../transport/index.js';
import { type Dialog, dialogKey } from './dialog.js';
import { sessionExpiresOf } from './session-timer.js';

const log = createLogger('sip');

/** Larger requests go over TCP (RFC 3261, section 18.1.1): 1300 bytes where the path's MTU is not known. */
const maxDatagramBytes = 1_300;
export const supportedOptions = ['100rel', 'timer'];
export const allowedMethods =
  'INVITE, ACK, CANCEL, BYE, OPTIONS, PRACK, UPDATE, INFO, REFER, NOTIFY, REGISTER';
const knownMethods = new Set([...allowedMethods.split(', '), 'MESSAGE', 'SUBSCRIBE', 'PUBLISH']);

/** Whoever has requests of a dialog: a call. */
export interface DialogUser {
  handleRequest(request: SipRequest, transaction: ServerTransaction, flow: Flow): void;
  handleAck(request: SipRequest): void;
}

/** A message that went by, for whoever draws or counts them. */
export interface TracedMessage {
  direction: 'in' | 'out';
  message: SipMessage;
  flow: Flow;
}

export interface ServedRequest {
  request: SipRequest;
  transaction: ServerTransaction;
  flow: Flow;
}

/** What becomes of a request that was sent. */
export interface RequestEvents {
  onResponse(response: SipResponse): void;
  /** No answer, or nowhere to send it to. */
  onFailed(why: string): void;
}

/** A request that is under way. */
export interface SentRequest {
  readonly transaction: ClientTransaction | undefined;
  readonly flow: Flow | undefined;
}

export interface EndpointOptions extends Omit<TransportOptions, 'onMessage' | 'onFlowClosed'> {
  clock?: Clock;
  /** False drops what came from this address, before it is parsed. */
  admit?(flow: Flow, bytes: Buffer): boolean;
  /** False drops a request without an answer: a scanner's. */
  screen?(request: SipRequest, flow: Flow): boolean;
}

/** The SIP user agent's core: sockets, transactions and dialogs, and who gets what comes in. */
export class SipEndpoint {
  onInvite: (served: ServedRequest) => void = ({ request, transaction }) =>
    this.respond(transaction, responseTo(request, 480, { toTag: newTag() }));
  onRegister: (served: ServedRequest) => void = ({ request, transaction }) =>
    this.respond(transaction, responseTo(request, 405, { toTag: newTag() }));
  onTrace: (traced: TracedMessage) => void = () => {};
  /** A connection has ended. */
  onFlowClosed: (flow: Flow) => void = () => {};
  readonly clock: Clock;
  readonly transactions: Transactions;
  readonly #options: EndpointOptions;
  #transports!: Transports;
  readonly #dialogs = new Map<string, DialogUser>();
  /** Called when an INVITE that is not answered yet is cancelled. */
  readonly #cancels = new Map<ServerTransaction, () => void>();
  #closed = false;

  private constructor(options: EndpointOptions) {
    this.#options = options;
    this.clock = options.clock ?? systemClock;
    this.transactions = new Transactions(this.clock);
  }

  /** @throws OffhookError `OFFHOOK_UNREACHABLE` when it cannot listen */
  static async open(options: EndpointOptions): Promise<SipEndpoint> {
    const endpoint = new SipEndpoint(options);
    endpoint.#transports = await Transports.open({
      ...options,
      onMessage: (bytes, flow) => endpoint.#receive(bytes, flow),
      onFlowClosed: (flow) => {
        endpoint.transactions.connectionEnded(flow);
        endpoint.onFlowClosed(flow);
      },
    });
    return endpoint;
  }

  /** Port of UDP and TCP. */
  get port(): number {
    return this.#transports.port;
  }

  get tlsPort(): number | undefined {
    return this.#transports.tlsPort;
  }

  get dialogCount(): number {
    return this.#dialogs.size;
  }

  addDialog(dialog: Dialog, user: DialogUser): void {
    this.#dialogs.set(dialog.key, user);
  }

  removeDialog(dialog: Dialog): void {
    this.#dialogs.delete(dialog.key);
  }

  onCancel(transaction: ServerTransaction, cancelled: () => void): void {
    this.#cancels.set(transaction, cancelled);
  }

  respond(transaction: ServerTransaction, response: SipResponse): void {
    if (response.status >= 200) this.#cancels.delete(transaction);
    this.transactions.respond(transaction, response);
  }

  /** Refuses a request of somebody unknown: said once and forgotten. */
  refuse(transaction: ServerTransaction, response: SipResponse): void {
    this.transactions.refuse(transaction, response);
  }

  /** Where peers reach us over `flow`. */
  contact({ protocol, local }: Flow): NameAddr {
    const params = new Map<string, string | undefined>();
    if (protocol !== 'udp') params.set('transport', protocol);
    const uri: SipUri = {
      scheme: 'sip',
      user: 'offhook',
      host: local.address,
      port: local.port,
      params,
      headers: '',
    };
    return { uri, params: new Map() };
  }

  /**
   * Sends a request to wherever `uri` resolves, one address after the other until a connection is there.
   *
   * @param signal aborting it while an address is looked for fails the request
   */
  async requestTo(
    uri: SipUri,
    protocol: SipProtocol | undefined,
    make: (flow: Flow) => SipRequest,
    events: RequestEvents,
    signal?: AbortSignal,
  ): Promise<SentRequest> {
    let why = 'no address';
    try {
      for (const target of await resolveTarget(uri, protocol)) {
        const flow = await this.flowTo(target).catch((error: unknown) => {
          why = describeError(error);
        });
        if (signal?.aborted) {
          why = 'cancelled';
          break;
        }
        if (flow) return this.requestOver(flow, make(flow), events);
      }
    } catch (error) {
      why = describeError(error);
    }
    events.onFailed(why);
    return { transaction: undefined, flow: undefined };
  }

  /**
   * The first way to `uri` that there is.
   *
   * @throws OffhookError `OFFHOOK_UNREACHABLE`
   */
  async flowTowards(uri: SipUri, protocol: SipProtocol | undefined): Promise<Flow> {
    let failure: unknown;
    for (const target of await resolveTarget(uri, protocol)) {
      try {
        return await this.flowTo(target);
      } catch (error) {
        failure = error;
      }
    }
    throw failure;
  }

  flowTo(target: SipTarget): Promise<Flow> {
    return this.#transports.flowTo(target);
  }

  /** Sends a request within a dialog. */
  requestIn(dialog: Dialog, request: SipRequest, events: RequestEvents): void {
    this.#overDialog(dialog, (flow) => this.requestOver(flow, request, events), events.onFailed);
  }

  /**
   * Finds the way of a dialog's next message: the flow by which its peer was heard, which leads through NATs, unless the route
   * begins elsewhere or the flow has ended.
   */
  #overDialog(dialog: Dialog, use: (flow: Flow) => void, onFailed: (why: string) => void): void {
    const { flow, nextHop, leavesFlow } = dialog;
    if (!nextHop || (flow.isOpen && !leavesFlow)) {
      use(flow);
      return;
    }
    this.flowTowards(nextHop, undefined).then(
      (found) => {
        dialog.flow = found;
        use(found);
      },
      (error: unknown) => {
        if (flow.isOpen) use(flow);
        else onFailed(describeError(error));
      },
    );
  }

  requestOver(flow: Flow, request: SipRequest, events: RequestEvents): SentRequest {
    const sent: { transaction: ClientTransaction | undefined; flow: Flow } = { transaction: undefined, flow };
    if (this.#closed || this.transactions.isFull) {
      events.onFailed(this.#closed ? 'closed' : 'too many requests are under way');
      return sent;
    }
    const stamped: SipRequest = { ...request, vias: [this.#via(flow), ...request.vias] };
    if (!stamped.headers.has('User-Agent')) stamped.headers.add('User-Agent', 'offhook');
    const begin = (over: Flow, message: SipRequest) => {
      sent.flow = over;
      sent.transaction = this.transactions.request({
        request: message,
        reliable: isReliable(over),
        send: (outgoing) => this.#send(outgoing, over),
        ...(isReliable(over) ? { connection: over } : {}),
        onResponse: events.onResponse,
        onFailed: events.onFailed,
      });
    };
    if (flow.protocol !== 'udp' || serializeMessage(stamped).length <= maxDatagramBytes) {
      begin(flow, stamped);
      return sent;
    }
    // A peer without TCP gets the long datagram after all.
    this.flowTo({ ...flow.remote, protocol: 'tcp' }).then(
      (tcp) => begin(tcp, { ...stamped, vias: [this.#via(tcp), ...request.vias] }),
      () => begin(flow, stamped),
    );
    return sent;
  }

  /** Sends a request that goes the way of another one, whose Via it has: a CANCEL. */
  requestAgain(flow: Flow, request: SipRequest): void {
    this.transactions.request({
      request,
      reliable: isReliable(flow),
      send: (outgoing) => this.#send(outgoing, flow),
      onResponse: () => {},
      onFailed: () => {},
    });
  }

  /** Sends an answer of a call once more, because its ACK has not come. */
  sendAgain(response: SipResponse, transaction: ServerTransaction): void {
    transaction.sendAgain(response);
  }

  /** Sends an ACK of a 2xx, which is answered by nothing. */
  sendAck(dialog: Dialog, ack: SipRequest): void {
    this.#overDialog(
      dialog,
      (flow) => this.#send({ ...ack, vias: [this.#via(flow)] }, flow),
      (why) => log.debug(`${dialog.callId}: ACK: ${why}`),
    );
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.transactions.close();
    this.#dialogs.clear();
    this.#cancels.clear();
    await this.#transports.close();
  }

  #via({ protocol, local }: Flow): Via {
    const params = new Map<string, string | undefined>([['branch', newBranch()]]);
    if (protocol === 'udp') params.set('rport', undefined);
    return { transport: protocol.toUpperCase(), host: local.address, port: local.port, params };
  }

  #send(message: SipMessage, flow: Flow): void {
    this.onTrace({ direction: 'out', message, flow });
    flow.send(serializeMessage(message));
  }

  #receive(bytes: Buffer, flow: Flow): void {
    if (this.#closed) return;
    try {
      if (this.#options.admit && !this.#options.admit(flow, bytes)) return;
      const parsed = parseMessage(bytes);
      if (parsed.kind === 'unusable') {
        log.debug(`from ${formatHostPort(flow.remote.address, flow.remote.port)}: ${parsed.why}`);
      } else if (parsed.kind === 'refused') {
        this.#refuse(parsed.answerable, parsed.status, parsed.why, flow);
      } else {
        this.onTrace({ direction: 'in', message: parsed.message, flow });
        if (parsed.message.kind === 'response') this.#receiveResponse(parsed.message);
        else this.#receiveRequest(parsed.message, flow);
      }
    } catch (error) {
      log.error(
        `a SIP message could not be handled: ${error instanceof Error ? error.stack : String(error)}`,
      );
    }
  }

  /** Answers without keeping anything, so that what is malformed costs no memory. */
  #refuse(request: SipRequest | undefined, status: number, reason: string, flow: Flow): void {
    if (!request) return;
    if (this.#options.screen && !this.#options.screen(request, flow)) return;
    noteSource(request, flow);
    const response = responseTo(request, status, { reason, toTag: newTag() });
    this.#send(response, this.#flowOfResponse(request, flow));
  }

  #receiveResponse(response: SipResponse): void {
    // Only the hop that put its Via on top may take the response; a second Via is for somebody else.
    if (response.vias.length !== 1) return;
    if (!this.transactions.receive(response))
      log.debug(`a response ${response.status} is dropped: it belongs to no transaction`);
  }

  #receiveRequest(request: SipRequest, flow: Flow): void {
    noteSource(request, flow);
    const known = this.transactions.findServer(request);
    if (request.method === 'ACK') {
      if (known?.state === 'completed' || known?.state === 'confirmed') this.transactions.acknowledge(known);
      else this.#dialogOf(request)?.handleAck(request);
      return;
    }
    if (known) {
      known.repeat();
      return;
    }
    if (this.#options.screen && !this.#options.screen(request, flow)) return;
    if (this.transactions.isFull) return;
    const responseFlow = this.#flowOfResponse(request, flow);
    const transaction = this.transactions.serve({
      request,
      reliable: isReliable(flow),
      send: (response) => this.#send(response, responseFlow),
    });
    const refusal = this.#generalRefusal(request);
    if (refusal) this.respond(transaction, refusal);
    else if (request.method === 'CANCEL') this.#cancel(request, transaction);
    else if (tagOf(request.to) !== undefined) this.#receiveInDialog({ request, transaction, flow });
    else this.#receiveOutOfDialog({ request, transaction, flow });
  }

  /** What is refused whoever it is for (RFC 3261, section 8.2). */
  #generalRefusal(request: SipRequest): SipResponse | undefined {
    const { method, headers, uri } = request;
    const refuse = (status: number, fields: Record<string, string> = {}) =>
      responseTo(request, status, { toTag: newTag(), headers: Headers.of(fields) });
    if (!knownMethods.has(method)) return refuse(501, { Allow: allowedMethods });
    if (!isSipUri(uri) && uri.scheme !== 'tel') return refuse(416);
    const unsupported = headers
      .list('Require')
      .filter((option) => !supportedOptions.includes(option.toLowerCase()));
    if (method !== 'CANCEL' && unsupported.length > 0)
      return refuse(420, { Unsupported: unsupported.join(', ') });
    if (headers.has('Content-Encoding') && request.body.length > 0)
      return refuse(415, { 'Accept-Encoding': 'identity' });
    const expires = method === 'INVITE' || method === 'UPDATE' ? sessionExpiresOf(request) : undefined;
    const leastS = limits.leastSessionS.value;
    if (expires && expires.intervalS < leastS) return refuse(422, { 'Min-SE': String(leastS) });
    return undefined;
  }

  #cancel(request: SipRequest, transaction: ServerTransaction): void {
    const invite = this.transactions.findCancelled(request);
    this.respond(transaction, responseTo(request, invite ? 200 : 481, { toTag: newTag() }));
    const cancelled = invite && !invite.isAnswered ? this.#cancels.get(invite) : undefined;
    cancelled?.();
  }

  #receiveInDialog({ request, transaction, flow }: ServedRequest): void {
    const user = this.#dialogOf(request);
    if (user) user.handleRequest(request, transaction, flow);
    else this.respond(transaction, responseTo(request, 481));
  }

  #receiveOutOfDialog(served: ServedRequest): void {
    const { request, transaction } = served;
    switch (request.method) {
      case 'INVITE':
        this.onInvite(served);
        break;
      case 'REGISTER':
        this.onRegister(served);
        break;
      case 'OPTIONS': {
        const headers = this.capabilities();
        this.respond(transaction, responseTo(request, 200, { toTag: newTag(), headers }));
        break;
      }
      case 'BYE':
      case 'PRACK':
      case 'UPDATE':
      case 'INFO':
      case 'NOTIFY':
        this.respond(transaction, responseTo(request, 481, { toTag: newTag() }));
        break;
      default: {
        const headers = Headers.of({ Allow: allowedMethods });
        this.respond(transaction, responseTo(request, 405, { toTag: newTag(), headers }));
      }
    }
  }

  /** What an answer to OPTIONS, or an INVITE, says about us. */
  capabilities(): Headers {
    return Headers.of({
      Allow: allowedMethods,
      Supported: supportedOptions.join(', '),
      Accept: 'application/sdp',
    });
  }

  #dialogOf({ callId, to, from }: SipRequest): DialogUser | undefined {
    return this.#dialogs.get(dialogKey(callId, tagOf(to), tagOf(from)));
  }

  /** Back over the connection, or to the port that the Via asks for at the address that the request came from. */
  #flowOfResponse({ vias }: SipRequest, flow: Flow): Flow {
    const [via] = vias;
    if (flow.protocol !== 'udp' || via!.params.has('rport')) return flow;
    return this.#transports.udpFlowTo({ address: flow.remote.address, port: via!.port ?? 5060 });
  }
}

/** Notes in the topmost Via where a request really came from (RFC 3261, section 18.2.1; RFC 3581). */
function noteSource({ vias }: SipRequest, { remote }: Flow): void {
  const via = vias[0]!;
  if (via.host !== remote.address || via.params.has('rport')) via.params.set('received', remote.address);
  if (via.params.has('rport')) via.params.set('rport', String(remote.port));
}

/** For logs: the URI and address of a peer. */
export function describePeer({ from }: SipRequest, { remote, protocol }: Flow): string {
  return `${formatUri(from.uri)} at ${formatHostPort(remote.address, remote.port)}/${protocol}`;
}

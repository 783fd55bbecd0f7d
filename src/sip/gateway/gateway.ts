import type { TlsOptions } from 'node:tls';
import {
  type CreateSIPParticipantRequest,
  SIPDispatchRule,
  SIPDispatchRuleIndividual,
  SIPDispatchRuleInfo,
  SIPHeaderOptions,
} from '@livekit/protocol';
import { describeError, OffhookError } from '../../errors/index.js';
import { createLogger } from '../../logging/index.js';
import { Authenticator, Registrar } from '../auth/index.js';
import { type ServedRequest, SipEndpoint } from '../call/index.js';
import { limits } from '../limits.js';
import type { PortRange } from '../media/index.js';
import { Headers, newTag, responseTo, type SipRequest, userOf } from '../message/index.js';
import { isLoopback } from '../transport/index.js';
import type { CallLog, CallRecord } from './call-log.js';
import { type CallTimes, defaultCallTimes, type GatewayCall, type GatewayContext } from './context.js';
import { type ProviderRegistration, SipDirectory } from './directory.js';
import { matchTrunk } from './dispatch.js';
import { type GuardLimits, SipGuard } from './guard.js';
import { factsOf, InboundCall } from './inbound-call.js';
import { JoinQueue, type JoinQueueLimits } from './join-queue.js';
import { isAllowedDestination, OutboundCall, type OutboundRoute, routeOf } from './outbound-call.js';
import { ProviderLogin } from './provider-login.js';
import type { RoomAccess } from './room-leg.js';

const log = createLogger('sip');

export interface SipGatewayOptions {
  /** Where calls are brought to. */
  room: RoomAccess;
  /** Address to listen on. Default 127.0.0.1. */
  host?: string;
  /** Port of UDP and TCP; 0 takes a free one. Default 5060. */
  port?: number;
  /** TLS is listened for as well. */
  tls?: TlsOptions & { port: number };
  /** Trusted by outgoing TLS connections besides the usual authorities; false trusts any certificate. */
  trust?: string | Buffer | false;
  /** Address that peers see, where it is not one of this machine. */
  externalAddress?: string;
  /** UDP ports of media. */
  mediaPorts?: PortRange;
  /** Sends callers the ringing as audio before the answer (183), for lines that do not ring by themselves. Default false. */
  earlyMedia?: boolean;
  directory?: SipDirectory;
  /** Passwords of softphones that may log in, by user name. Without any, whoever is on this machine may. */
  users?: ReadonlyMap<string, string>;
  registrations?: readonly ProviderRegistration[];
  times?: Partial<CallTimes>;
  limits?: Partial<GuardLimits>;
  /** Calls that join their rooms at the same time, and that wait for it. */
  joins?: JoinQueueLimits;
  maxCalls?: number;
  maxOutboundCalls?: number;
  /** Beginnings of numbers that may be called; empty or missing allows all that a trunk is asked for. */
  allowedDestinations?: readonly string[];
  /** A call is over. */
  onCallEnded?: (record: CallRecord) => void;
}

/** The room prefix of calls that no rule was made for. */
const defaultRoomPrefix = 'call';
const defaultJoins: JoinQueueLimits = {
  atOnce: limits.joinsAtOnce.value,
  waiting: limits.waitingJoins.value,
  waitMs: limits.joinWaitMs.value,
};
/** After which a caller, or the trunk, may try again. */
const retryAfterSeconds = '10';
const busy = 'calls come faster than they can be brought into rooms';
/** Refused calls are counted for this long before the log says how many there were. */
const busyLogMs = 5_000;
/** The trunk by which softphones that have logged in here are called. */
export const softphoneTrunkId = 'ST_softphones';
const realm = 'offhook';

/** Telephones on one side, rooms on the other. */
export class SipGateway {
  readonly directory: SipDirectory;
  readonly #context: GatewayContext;
  readonly #options: SipGatewayOptions;
  readonly #traced = new Map<string, CallLog>();
  readonly #logins: ProviderLogin[] = [];
  #refusals = 0;
  #busyTimer: NodeJS.Timeout | undefined;
  #closed = false;

  private constructor(endpoint: SipEndpoint, guard: SipGuard, options: SipGatewayOptions) {
    this.#options = options;
    this.directory = options.directory ?? new SipDirectory();
    const nowMs = () => endpoint.clock.nowMs();
    this.#context = {
      endpoint,
      directory: this.directory,
      room: options.room,
      joins: new JoinQueue(options.joins ?? defaultJoins),
      guard,
      registrar: new Registrar(),
      authenticator: new Authenticator(realm, nowMs),
      times: { ...defaultCallTimes, ...options.times },
      mediaAddress: options.host ?? '127.0.0.1',
      mediaPorts: options.mediaPorts,
      earlyMedia: options.earlyMedia ?? false,
      maxOutboundCalls: options.maxOutboundCalls ?? limits.outboundCalls.value,
      allowedDestinations: options.allowedDestinations ?? [],
      calls: new Map(),
      trace: (callId, callLog) => this.#traced.set(callId, callLog),
      finished: (call, record, sipCallId) => this.#finished(call, record, sipCallId),
    };
    endpoint.onInvite = (served) => this.#invited(served);
    endpoint.onRegister = (served) => this.#register(served);
    endpoint.onFlowClosed = (flow) => {
      for (const login of this.#logins) login.flowClosed(flow);
    };
    endpoint.onTrace = (traced) => this.#traced.get(traced.message.callId)?.note(traced);
    for (const registration of options.registrations ?? []) {
      this.#logins.push(new ProviderLogin(endpoint, registration));
    }
  }

  /** @throws OffhookError `OFFHOOK_UNREACHABLE` when a port is taken or the address is not of this machine */
  static async open(options: SipGatewayOptions): Promise<SipGateway> {
    const guard = new SipGuard(() => performance.now(), options.limits);
    const { host = '127.0.0.1', port = 5060, tls, trust, externalAddress } = options;
    const endpoint = await SipEndpoint.open({
      host,
      port,
      ...(tls ? { tls } : {}),
      ...(trust === undefined ? {} : { trust }),
      ...(externalAddress === undefined ? {} : { externalAddress }),
      admit: (flow) => guard.admit(flow),
      screen: (request, flow) => guard.screen(request, flow),
    });
    const gateway = new SipGateway(endpoint, guard, options);
    log.info(
      `SIP on ${host}:${endpoint.port} (UDP and TCP)${tls ? `, TLS on port ${endpoint.tlsPort}` : ''}`,
    );
    return gateway;
  }

  /** Port of UDP and TCP. */
  get port(): number {
    return this.#context.endpoint.port;
  }

  get tlsPort(): number | undefined {
    return this.#context.endpoint.tlsPort;
  }

  get calls(): ReadonlyMap<string, GatewayCall> {
    return this.#context.calls;
  }

  /** Where a user has logged in. */
  registeredContacts(user: string): number {
    const { registrar, endpoint } = this.#context;
    return registrar.find(user, endpoint.clock.nowMs()).length;
  }

  /** What is held at the moment, for those who look for leaks. */
  counts(): { calls: number; dialogs: number; transactions: number } {
    const { endpoint, calls } = this.#context;
    return { calls: calls.size, dialogs: endpoint.dialogCount, transactions: endpoint.transactions.size };
  }

  /**
   * Calls a telephone and brings it into a room, as LiveKit's CreateSIPParticipant says.
   *
   * @returns the call, whose `dialed` tells how dialing went
   * @throws OffhookError `OFFHOOK_INVALID_REQUEST` for a call that no trunk allows; what joining the room throws
   */
  async dial(request: CreateSIPParticipantRequest): Promise<OutboundCall> {
    const route = this.#routeOf(request);
    if (!isAllowedDestination(request.sipCallTo, this.#context.allowedDestinations)) {
      throw refused(`calls to "${request.sipCallTo}" are not allowed`);
    }
    const outbound = [...this.calls.values()].filter(({ direction }) => direction === 'outbound');
    if (outbound.length >= this.#context.maxOutboundCalls)
      throw refused('too many calls to the outside go on');
    if (this.#context.joins.isFull) {
      this.#refusedAsBusy();
      throw new OffhookError('OFFHOOK_SERVER_REFUSED', busy, {
        advice: `Try again in ${retryAfterSeconds} s.`,
      });
    }
    if (this.#closed) throw new OffhookError('OFFHOOK_CLOSED', 'the gateway is closed');
    const call = new OutboundCall(this.#context, request, route);
    await call.start();
    return call;
  }

  /** The call of a participant; undefined when there is none. */
  findCall(room: string, identity: string): GatewayCall | undefined {
    return [...this.calls.values()].find((call) => call.roomName === room && call.identity === identity);
  }

  /** Hangs up every call and frees every port. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#busyTimer);
    const loggedOut = Promise.all(this.#logins.map((login) => login.close()));
    for (const call of [...this.calls.values()]) call.end('the gateway shuts down');
    // A moment for the BYEs to leave.
    await Promise.all([loggedOut, new Promise((resolve) => setTimeout(resolve, 20))]);
    await this.#context.endpoint.close();
  }

  #routeOf(request: CreateSIPParticipantRequest): OutboundRoute {
    const { sipTrunkId, trunk } = request;
    if (sipTrunkId === softphoneTrunkId) return this.#softphoneRoute(request);
    const stored = this.directory.outbound.get(sipTrunkId);
    if (stored) {
      const { numbers } = stored;
      if (request.sipNumber !== '' && !numbers.includes('*') && !numbers.includes(request.sipNumber)) {
        throw refused(`the trunk has no number "${request.sipNumber}"`);
      }
      return routeOf(stored, request);
    }
    if (sipTrunkId !== '')
      throw new OffhookError('OFFHOOK_INVALID_REQUEST', `there is no trunk "${sipTrunkId}"`);
    if (!trunk) throw new OffhookError('OFFHOOK_INVALID_REQUEST', 'the request names no trunk');
    return routeOf(trunk, request);
  }

  #softphoneRoute(request: CreateSIPParticipantRequest): OutboundRoute {
    const { registrar, endpoint } = this.#context;
    const [binding] = registrar.find(request.sipCallTo, endpoint.clock.nowMs());
    if (!binding) throw refused(`nobody has logged in as "${request.sipCallTo}"`);
    return {
      trunkId: softphoneTrunkId,
      target: binding.contact,
      protocol: binding.flow.protocol,
      flow: binding.flow,
      secret: undefined,
      fromNumber: request.sipNumber || 'offhook',
      fromHost: undefined,
      headers: { ...request.headers },
      headersToAttributes: {},
      includeHeaders: request.includeHeaders || SIPHeaderOptions.SIP_NO_HEADERS,
      encryption: request.mediaEncryption,
      media: request.media,
    };
  }

  #invited(served: ServedRequest): void {
    const { request, transaction, flow } = served;
    const refuse = (status: number, headers = new Headers()) =>
      this.#context.endpoint.refuse(transaction, responseTo(request, status, { toTag: newTag(), headers }));
    const { address } = flow.remote;
    if (
      !this.#context.guard.admitCall(address) ||
      this.calls.size >= (this.#options.maxCalls ?? limits.calls.value)
    ) {
      refuse(503, Headers.of({ 'Retry-After': retryAfterSeconds }));
      return;
    }
    if (this.#isMerged(request)) {
      refuse(482);
      return;
    }
    const trunk = matchTrunk(this.directory.inbound.values(), { ...factsOf(request, address), callId: '' });
    if (!this.#mayCall(served, trunk)) return;
    if (this.#context.joins.isFull) {
      this.#refusedAsBusy();
      refuse(503, Headers.of({ 'Retry-After': retryAfterSeconds, Reason: `SIP;cause=503;text="${busy}"` }));
      return;
    }
    void new InboundCall(this.#contextFor(), served, trunk).run();
  }

  #refusedAsBusy(): void {
    this.#refusals++;
    this.#busyTimer ??= setTimeout(() => {
      log.warn(`${busy}: ${this.#refusals} were refused with 503 in the last ${busyLogMs / 1_000} s`);
      this.#refusals = 0;
      this.#busyTimer = undefined;
    }, busyLogMs).unref();
  }

  /** Whether the caller has shown that the call may be taken; otherwise it has been refused or asked. */
  #mayCall({ request, transaction, flow }: ServedRequest, trunk: ReturnType<typeof matchTrunk>): boolean {
    const { address } = flow.remote;
    const users = this.#options.users ?? new Map<string, string>();
    if (trunk) {
      if (trunk.authUsername === '') return true;
      const authenticated = this.#authenticate(request, transaction, address, (name) =>
        name === trunk.authUsername ? trunk.authPassword : undefined,
      );
      return authenticated !== false;
    }
    if (this.directory.inbound.size === 0 && isLoopback(address) && users.size === 0) return true;
    if (users.size > 0) {
      return this.#authenticate(request, transaction, address, (name) => users.get(name)) !== false;
    }
    const response = responseTo(request, 404, { toTag: newTag(), reason: 'No trunk matches' });
    this.#context.endpoint.refuse(transaction, response);
    return false;
  }

  #authenticate(
    request: SipRequest,
    transaction: ServedRequest['transaction'],
    address: string,
    passwordOf: (username: string) => string | undefined,
  ): string | false {
    const { authenticator, guard, endpoint } = this.#context;
    const outcome = authenticator.check(request, address, passwordOf);
    if (outcome.kind === 'ok') {
      guard.rightCredentials(address);
      return outcome.username;
    }
    if (outcome.kind === 'wrong') {
      log.warn(`${address}: wrong credentials for "${outcome.username.slice(0, 40)}" (${request.method})`);
      guard.wrongCredentials(address);
    }
    const headers = authenticator.challenge(outcome.kind === 'challenge' && outcome.stale, address);
    endpoint.refuse(transaction, responseTo(request, 401, { toTag: newTag(), headers }));
    return false;
  }

  #register({ request, transaction, flow }: ServedRequest): void {
    const { registrar, endpoint } = this.#context;
    const users = this.#options.users ?? new Map<string, string>();
    const { address } = flow.remote;
    const user = userOf(request.to.uri);
    if (users.size > 0) {
      const authenticated = this.#authenticate(request, transaction, address, (name) => users.get(name));
      if (authenticated === false) return;
      if (authenticated !== user) {
        endpoint.respond(transaction, responseTo(request, 403, { toTag: newTag() }));
        return;
      }
    } else if (!isLoopback(address)) {
      endpoint.respond(
        transaction,
        responseTo(request, 403, { toTag: newTag(), reason: 'No users are set up' }),
      );
      return;
    }
    const { status, headers } = registrar.register(request, flow, endpoint.clock.nowMs());
    if (status === 200)
      log.info(`${user} has logged in or out at ${address}:${flow.remote.port}/${flow.protocol}`);
    endpoint.respond(transaction, responseTo(request, status, { toTag: newTag(), headers }));
  }

  /** The same call by another way through a forking proxy (RFC 3261, section 8.2.2.2). */
  #isMerged({ callId }: SipRequest): boolean {
    return this.#traced.has(callId);
  }

  /** Without a rule of its own, every call gets a room. */
  #contextFor(): GatewayContext {
    if (this.directory.rules.size > 0) return this.#context;
    return { ...this.#context, directory: withDefaultRule(this.directory) };
  }

  #finished(call: GatewayCall, record: CallRecord, sipCallId: string): void {
    this.#context.calls.delete(call.callId);
    // The last messages still belong to the picture.
    setTimeout(() => {
      this.#traced.delete(sipCallId);
      try {
        this.#options.onCallEnded?.(record);
      } catch (error) {
        log.error(`onCallEnded failed: ${describeError(error)}`);
      }
    }, 200).unref();
  }
}

const defaultDirectory = new SipDirectory();
defaultDirectory.addRule(
  new SIPDispatchRuleInfo({
    name: 'every call gets a room',
    rule: new SIPDispatchRule({
      rule: {
        case: 'dispatchRuleIndividual',
        value: new SIPDispatchRuleIndividual({ roomPrefix: defaultRoomPrefix }),
      },
    }),
  }),
  'SDR_default',
);

/** The trunks of a directory, with the rule for calls that nobody made one for. */
function withDefaultRule(directory: SipDirectory): SipDirectory {
  const copy = new SipDirectory();
  for (const [id, trunk] of directory.inbound) copy.inbound.set(id, trunk);
  for (const [id, rule] of defaultDirectory.rules) copy.rules.set(id, rule);
  return copy;
}

function refused(message: string): OffhookError {
  return new OffhookError('OFFHOOK_INVALID_REQUEST', message);
}

import { limits } from '../../limits.js';
import { Consent } from './consent.js';
import {
  attributeOf,
  errorCodeOf,
  hasIntegrity,
  parseStun,
  type StunAttribute,
  type StunMessage,
  serializeStun,
  stunAttribute,
  stunMethod,
  type TransportAddress,
  xorAddress,
} from './stun.js';

export interface IceCredentials {
  ufrag: string;
  pwd: string;
}

/** A way to the other side: a pair of UDP addresses, a TCP connection, a relayed address. */
export interface IcePath {
  readonly protocol: 'udp' | 'tcp' | 'relay';
  /** Where packets leave from; with a relay, the relay's own address. */
  readonly local: TransportAddress | undefined;
  /** Where packets come from, as this side sees it. */
  readonly remote: TransportAddress;
  send(packet: Buffer): void;
}

export interface IceAgentOptions {
  local: IceCredentials;
  /** Whether this side nominates the path. */
  controlling: boolean;
  /** Answers checks and sends none (RFC 8445, section 2.5). */
  lite: boolean;
  /** Decides who nominates when both sides think it is they: the higher one. */
  tieBreaker: bigint;
  /** PRIORITY of the checks, by which the other side orders its pairs. */
  priority: number;
  randomBytes: (count: number) => Buffer;
  /** First bytes of every transaction id, by which a shared socket finds the agent that a response is for. */
  transactionTag?: Buffer;
  /** A path answers for the first time: it may be used before one is selected (RFC 8445, section 12.1). */
  onUsable: () => void;
  /** A path was selected; it may change later. */
  onSelected: (path: IcePath) => void;
  /** A path makes room for another one. */
  onRemoved: (path: IcePath) => void;
  /** Checks on the selected path are no longer answered, for 1.5 s; it may come back. */
  onSilent: () => void;
  /** Nothing signed has come over the selected path for 30 s (RFC 7675). */
  onLost: () => void;
}

interface Check {
  id: string;
  sentMs: number;
  nominating: boolean;
  controlling: boolean;
}

/** Checks of one path so far. */
export interface PathStats {
  requestsSent: number;
  requestsReceived: number;
  responsesSent: number;
  responsesReceived: number;
  /** Requests on the selected path, which prove that the other side still wants its packets (RFC 7675). */
  consentRequestsSent: number;
  /** Round trip of the last answer, and the sum of all. */
  rttMs: number;
  totalRttMs: number;
  nominated: boolean;
  /** PRIORITY of the other side's last check; 0 without one. */
  remotePriority: number;
}

interface PathState {
  path: IcePath;
  nextCheckMs: number;
  lastCheckMs: number;
  checksSent: number;
  /** One of our checks was answered. */
  succeeded: boolean;
  /** The other side nominated it; what counts once our own check has succeeded. */
  nominated: boolean;
  nominatedMs: number;
  /** PRIORITY of the other side's checks. */
  remotePriority: number;
  /** When something signed last came over it. */
  heardMs: number | undefined;
  rttMs: number;
  totalRttMs: number;
  requestsReceived: number;
  responsesSent: number;
  responsesReceived: number;
  consentRequestsSent: number;
  pending: Check[];
}

/** The least that RFC 8445, section 14.2, allows between two checks. */
const minIntervalMs = 5;
/** As RFC 8445 spaces checks, for the first second; a path that is silent for longer is checked less and less often. */
const firstRetryMs = 50;
const quickChecks = 20;
const maxRetryMs = 1_000;
const maxTickMs = 5_000;
const consentTimeoutMs = 30_000;
/** The other side repeats its nomination of the path that it uses; another one counts at once after that long without. */
const renominatedWithinMs = 5_000;
const roleConflict = 487;

/**
 * An ICE agent (RFC 8445). Pure: packets and time come in as arguments. As the controlling side it nominates the first
 * path that answers, because all of them lead to the same peer.
 */
export class IceAgent {
  #options: IceAgentOptions;
  #remote: IceCredentials | undefined;
  #controlling: boolean;
  #paths = new Map<IcePath, PathState>();
  #selected: PathState | undefined;
  #consent: Consent | undefined;
  /** How often a path was selected, the first one included. */
  selections = 0;

  constructor(options: IceAgentOptions) {
    this.#options = options;
    this.#controlling = options.controlling;
  }

  get selected(): IcePath | undefined {
    return this.#selected?.path;
  }

  /** Where packets can be sent: the selected path, or before there is one any that answers. */
  get usable(): IcePath | undefined {
    if (this.#selected) return this.#selected.path;
    for (const { succeeded, path } of this.#paths.values()) if (succeeded) return path;
    return undefined;
  }

  /** Round trip over that path, as its last answer took. */
  get rttMs(): number | undefined {
    const path = this.usable;
    return path && this.#paths.get(path)?.rttMs;
  }

  /** Of the path that `usable` is. */
  get pathStats(): PathStats | undefined {
    const path = this.usable;
    const state = path && this.#paths.get(path);
    if (!state) return undefined;
    return {
      requestsSent: state.checksSent,
      requestsReceived: state.requestsReceived,
      responsesSent: state.responsesSent,
      responsesReceived: state.responsesReceived,
      consentRequestsSent: state.consentRequestsSent,
      rttMs: state.rttMs,
      totalRttMs: state.totalRttMs,
      nominated: state === this.#selected,
      remotePriority: state.remotePriority,
    };
  }

  /** Checks of the selected path are no longer answered. */
  get isSilent(): boolean {
    return this.#consent?.isSilent ?? false;
  }

  get remoteUfrag(): string {
    return this.#remote?.ufrag ?? '';
  }

  get isControlling(): boolean {
    return this.#controlling;
  }

  /** The other side's credentials: checks begin. Until then its own checks are answered. */
  setRemote(remote: IceCredentials, controlling: boolean): void {
    this.#remote = remote;
    this.#controlling = controlling;
  }

  /** Whether anything signed has come over a path of this kind. */
  hasHeard(protocol: IcePath['protocol']): boolean {
    for (const { path, heardMs } of this.#paths.values()) {
      if (heardMs !== undefined && path.protocol === protocol) return true;
    }
    return false;
  }

  /** Whether packets other than STUN are accepted from a path: the other side has signed something that came over it. */
  accepts(path: IcePath): boolean {
    return path === this.#selected?.path || this.#paths.get(path)?.heardMs !== undefined;
  }

  /** Starts to check a path, once. */
  add(path: IcePath, nowMs: number): void {
    if (this.#paths.has(path)) return;
    if (this.#paths.size >= limits.icePaths.value) this.#makeRoom();
    this.#paths.set(path, {
      path,
      nextCheckMs: nowMs,
      lastCheckMs: Number.NEGATIVE_INFINITY,
      checksSent: 0,
      succeeded: false,
      nominated: false,
      nominatedMs: Number.NEGATIVE_INFINITY,
      remotePriority: 0,
      heardMs: undefined,
      rttMs: 0,
      totalRttMs: 0,
      requestsReceived: 0,
      responsesSent: 0,
      responsesReceived: 0,
      consentRequestsSent: 0,
      pending: [],
    });
  }

  #makeRoom(): void {
    let oldest: PathState | undefined;
    const lastMs = (state: PathState) => state.heardMs ?? Number.NEGATIVE_INFINITY;
    for (const state of this.#paths.values()) {
      if (state !== this.#selected && (!oldest || lastMs(state) < lastMs(oldest))) oldest = state;
    }
    if (!oldest) return;
    this.#paths.delete(oldest.path);
    this.#options.onRemoved(oldest.path);
  }

  remove(path: IcePath): void {
    this.#paths.delete(path);
    if (this.#selected?.path === path) this.#selected = undefined;
  }

  /** When `handleTimeout` is due, on the clock of `nowMs`. */
  nextTimeoutMs(nowMs: number): number {
    let nextMs = nowMs + maxTickMs;
    for (const state of this.#paths.values()) {
      if (this.#isChecked(state)) nextMs = Math.min(nextMs, this.#nextCheckMs(state));
    }
    return nextMs;
  }

  /** Sends the checks that are due. */
  handleTimeout(nowMs: number): void {
    this.#judge(nowMs);
    for (const state of this.#paths.values()) {
      if (this.#isChecked(state) && nowMs >= this.#nextCheckMs(state)) {
        this.#check(state, nowMs, state.succeeded && this.#controlling && !this.#selected);
      }
    }
  }

  /** Whether the selected path still carries anything. */
  #judge(nowMs: number): void {
    const selected = this.#selected;
    if (!selected) return;
    const { lite, onSilent, onLost } = this.#options;
    const heardMs = lite ? selected.heardMs! : this.#consent!.lastAnswerMs;
    if (nowMs - heardMs > consentTimeoutMs) {
      this.remove(selected.path);
      onLost();
    } else if (!lite && this.#consent!.fellSilent(nowMs, selected.rttMs)) onSilent();
  }

  #nextCheckMs(state: PathState): number {
    if (state !== this.#selected || !this.#consent) return state.nextCheckMs;
    return this.#consent.nextCheckMs(state.rttMs);
  }

  /**
   * Takes a STUN message. What is not signed as agreed is ignored; a request that is, on a path which was not added,
   * adds it (RFC 8445, section 7.3.1.3).
   *
   * @returns whether the message was signed, and its path is one of the agent's
   */
  receive(path: IcePath, packet: Buffer, nowMs: number): boolean {
    const message = parseStun(packet);
    if (message?.method !== stunMethod.binding) return false;
    if (message.class === 'request') {
      if (!this.#isForUs(message) || !hasIntegrity(packet, this.#options.local.pwd)) return false;
      this.add(path, nowMs);
      const state = this.#paths.get(path)!;
      state.heardMs = nowMs;
      state.requestsReceived++;
      this.#handleRequest(state, message, nowMs);
      return true;
    }
    const state = this.#paths.get(path);
    if (!state || message.class === 'indication' || !this.#remote) return false;
    if (!hasIntegrity(packet, this.#remote.pwd)) return false;
    this.#handleResponse(state, message, nowMs);
    return true;
  }

  #isForUs(message: StunMessage): boolean {
    const username = attributeOf(message, stunAttribute.username)?.toString();
    const { ufrag } = this.#options.local;
    return this.#remote
      ? username === `${ufrag}:${this.#remote.ufrag}`
      : (username?.startsWith(`${ufrag}:`) ?? false);
  }

  /** Once a path is selected only that one is kept alive. */
  #isChecked(state: PathState): boolean {
    if (this.#options.lite || !this.#remote) return false;
    return this.#selected === undefined || this.#selected === state;
  }

  #check(state: PathState, nowMs: number, nominating: boolean): void {
    const { local, priority, tieBreaker } = this.#options;
    const remote = this.#remote!;
    const transactionId = this.#newTransactionId();
    const controlling = this.#controlling;
    const attributes: StunAttribute[] = [
      { type: stunAttribute.username, value: Buffer.from(`${remote.ufrag}:${local.ufrag}`) },
      { type: stunAttribute.priority, value: bigEndian(priority, 4) },
      {
        type: controlling ? stunAttribute.iceControlling : stunAttribute.iceControlled,
        value: bigEndian(tieBreaker, 8),
      },
    ];
    if (nominating) attributes.push({ type: stunAttribute.useCandidate, value: Buffer.alloc(0) });
    const message = { class: 'request', method: stunMethod.binding, transactionId, attributes } as const;
    state.pending.push({ id: transactionId.toString('hex'), sentMs: nowMs, nominating, controlling });
    if (state.pending.length > limits.pendingChecks.value) state.pending.shift();
    state.lastCheckMs = nowMs;
    const doublings = Math.max(0, Math.ceil((++state.checksSent - quickChecks) / 4));
    state.nextCheckMs = nowMs + Math.min(maxRetryMs, firstRetryMs * 2 ** doublings);
    if (this.#selected === state) {
      this.#consent?.checked(nowMs);
      state.consentRequestsSent++;
    }
    state.path.send(serializeStun(message, remote.pwd));
  }

  #newTransactionId(): Buffer {
    const { randomBytes, transactionTag } = this.#options;
    const id = randomBytes(12);
    transactionTag?.copy(id);
    return id;
  }

  /** A check that the other side's message asks for: at once, but not in a storm where answers are lost. */
  #checkSoon(state: PathState, nowMs: number): void {
    if (this.#options.lite || !this.#remote) return;
    state.nextCheckMs = Math.min(state.nextCheckMs, state.lastCheckMs + minIntervalMs);
    if (nowMs >= state.nextCheckMs) this.#check(state, nowMs, false);
  }

  #handleRequest(state: PathState, message: StunMessage, nowMs: number): void {
    if (this.#conflicts(message)) {
      this.#answer(state, message, 'error', [
        { type: stunAttribute.errorCode, value: Buffer.from([0, 0, 4, roleConflict % 100]) },
      ]);
      return;
    }
    const { remote } = state.path;
    const mapped = { type: stunAttribute.xorMappedAddress, value: xorAddress(remote, message.transactionId) };
    this.#answer(state, message, 'success', [mapped]);
    const priority = attributeOf(message, stunAttribute.priority);
    if (priority?.length === 4) state.remotePriority = priority.readUInt32BE();
    const nominates = !this.#controlling && attributeOf(message, stunAttribute.useCandidate) !== undefined;
    if (nominates) state.nominated = true;
    if (nominates && (state.succeeded || this.#options.lite)) this.#nominate(state, nowMs);
    // Of a path that works too: a check that follows its own lets pion nominate the path at once.
    else if (!this.#selected) this.#checkSoon(state, nowMs);
  }

  #answer(
    state: PathState,
    { transactionId }: StunMessage,
    kind: 'success' | 'error',
    attributes: StunAttribute[],
  ) {
    state.responsesSent++;
    const response = { class: kind, method: stunMethod.binding, transactionId, attributes };
    state.path.send(serializeStun(response, this.#options.local.pwd));
  }

  /** Settles who nominates (RFC 8445, section 7.3.1.1); true when the other side has to give way. */
  #conflicts(message: StunMessage): boolean {
    const type = this.#controlling ? stunAttribute.iceControlling : stunAttribute.iceControlled;
    const theirs = attributeOf(message, type);
    if (theirs?.length !== 8) return false;
    // A lite agent is never the controlling one (RFC 8445, section 6.1.1).
    const oursWins = !this.#options.lite && this.#options.tieBreaker >= theirs.readBigUInt64BE();
    if (oursWins === this.#controlling) return true;
    this.#controlling = !this.#controlling;
    return false;
  }

  #handleResponse(state: PathState, message: StunMessage, nowMs: number): void {
    const id = message.transactionId.toString('hex');
    const check = state.pending.find((pending) => pending.id === id);
    if (!check) return;
    state.pending = state.pending.filter((pending) => pending !== check);
    state.heardMs = nowMs;
    state.responsesReceived++;
    if (message.class === 'error') {
      if (errorCodeOf(message) !== roleConflict) return;
      if (check.controlling === this.#controlling) this.#controlling = !this.#controlling;
      this.#checkSoon(state, nowMs);
      return;
    }
    const isFirst = !state.succeeded;
    state.succeeded = true;
    state.rttMs = nowMs - check.sentMs;
    state.totalRttMs += state.rttMs;
    if (this.#selected === state) this.#consent?.answered(nowMs);
    if (isFirst) this.#options.onUsable();
    if (this.#controlling) {
      if (check.nominating) this.#select(state, nowMs);
      else if (!this.#selected) this.#check(state, nowMs, true);
    } else if (isFirst && state.nominated) this.#nominate(state, nowMs);
  }

  /**
   * The other side nominated a path that works. A peer that nominates several at once (as RFC 5245 let it) means the one
   * of highest priority; one that changes its mind stops to repeat the nomination before.
   */
  #nominate(state: PathState, nowMs: number): void {
    state.nominatedMs = nowMs;
    const selected = this.#selected;
    if (
      !selected ||
      state.remotePriority > selected.remotePriority ||
      nowMs - selected.nominatedMs > renominatedWithinMs ||
      this.#consent?.isDoubted(nowMs, selected.rttMs)
    ) {
      this.#select(state, nowMs);
    }
  }

  #select(state: PathState, nowMs: number): void {
    if (this.#selected === state) return;
    const isFirstUse = !state.succeeded;
    this.#selected = state;
    this.selections++;
    this.#consent = new Consent(nowMs);
    // Of a lite agent: the other side's check is all there is.
    if (isFirstUse) this.#options.onUsable();
    this.#options.onSelected(state.path);
  }
}

function bigEndian(value: number | bigint, bytes: 4 | 8): Buffer {
  const buffer = Buffer.alloc(bytes);
  if (bytes === 4) buffer.writeUInt32BE(Number(value));
  else buffer.writeBigUInt64BE(BigInt(value));
  return buffer;
}

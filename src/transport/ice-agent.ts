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
  remote: IceCredentials;
  /** Whether this side nominates the path. */
  controlling: boolean;
  /** Decides who nominates when both sides think it is they: the higher one. */
  tieBreaker: bigint;
  /** PRIORITY of the checks, by which the other side orders its pairs. */
  priority: number;
  randomBytes: (count: number) => Buffer;
  /** Whether the chosen path is asked for consent (RFC 7675), or trusted. */
  isWatched: boolean;
  /** A path answers for the first time: it may be used before one is chosen (RFC 8445, section 12.1). */
  onUsable: () => void;
  /** A path was chosen; it may change later. */
  onSelected: (path: IcePath) => void;
  /** Checks on the chosen path are no longer answered, for 1.5 s; it may come back. */
  onSilent: () => void;
  /** No check on the chosen path has been answered for 30 s (RFC 7675). */
  onLost: () => void;
}

interface Check {
  id: string;
  sentMs: number;
  nominating: boolean;
  controlling: boolean;
}

interface PathState {
  path: IcePath;
  nextCheckMs: number;
  lastCheckMs: number;
  checksSent: number;
  succeeded: boolean;
  /** The other side chose it before our own check had succeeded. */
  chosen: boolean;
  heard: boolean;
  rttMs: number;
  pending: Check[];
}

const minIntervalMs = 20;
/** As RFC 8445 spaces checks, for the first second; a path that is silent for longer is asked less and less often. */
const firstRetryMs = 50;
const quickChecks = 20;
const maxRetryMs = 1_000;
/** Of answers that are still awaited: what leaves in some round trips. */
const maxPending = 64;
const maxTickMs = 5_000;
const consentTimeoutMs = 30_000;
const roleConflict = 487;

/**
 * A small ICE agent (RFC 8445) for the paths that the addon's own does not know. Pure: packets and time come in as
 * arguments. The first path that answers is nominated: all of them lead to the same server.
 */
export class IceAgent {
  #options: IceAgentOptions;
  #controlling: boolean;
  #paths: PathState[] = [];
  #selected: PathState | undefined;
  #consent: Consent | undefined;

  constructor(options: IceAgentOptions) {
    this.#options = options;
    this.#controlling = options.controlling;
  }

  get selected(): IcePath | undefined {
    return this.#selected?.path;
  }

  /** Where packets can be sent: the chosen path, or before there is one any that answers. */
  get usable(): IcePath | undefined {
    return (this.#selected ?? this.#paths.find(({ succeeded }) => succeeded))?.path;
  }

  /** Round trip over that path, as its last answer took. */
  get rttMs(): number | undefined {
    const path = this.usable;
    return path && this.#stateOf(path)?.rttMs;
  }

  /** Whether anything signed has come over a path of this kind. */
  hasHeard(protocol: IcePath['protocol']): boolean {
    return this.#paths.some(({ path, heard }) => heard && path.protocol === protocol);
  }

  /** Starts to check a path, once. */
  add(path: IcePath, nowMs: number): void {
    if (this.#stateOf(path)) return;
    this.#paths.push({
      path,
      nextCheckMs: nowMs,
      lastCheckMs: Number.NEGATIVE_INFINITY,
      checksSent: 0,
      succeeded: false,
      chosen: false,
      heard: false,
      rttMs: 0,
      pending: [],
    });
  }

  remove(path: IcePath): void {
    this.#paths = this.#paths.filter((state) => state.path !== path);
    if (this.#selected?.path === path) this.#selected = undefined;
  }

  /** Sends the checks that are due; returns how long until the next one is. */
  tick(nowMs: number): number {
    this.#judge(nowMs);
    for (const state of this.#paths) {
      if (this.#isChecked(state) && nowMs >= this.#nextCheckMs(state)) {
        this.#check(state, nowMs, state.succeeded && this.#controlling && !this.#selected);
      }
    }
    const due = this.#paths
      .filter((state) => this.#isChecked(state))
      .map((state) => this.#nextCheckMs(state));
    return Math.max(0, Math.min(...due, nowMs + maxTickMs) - nowMs);
  }

  /** Whether the chosen path still carries anything. */
  #judge(nowMs: number): void {
    const selected = this.#selected;
    if (!selected || !this.#consent || !this.#options.isWatched) return;
    if (nowMs - this.#consent.lastAnswerMs > consentTimeoutMs) {
      this.remove(selected.path);
      this.#options.onLost();
    } else if (this.#consent.fellSilent(nowMs, selected.rttMs)) this.#options.onSilent();
  }

  #nextCheckMs(state: PathState): number {
    if (state !== this.#selected || !this.#consent) return state.nextCheckMs;
    return this.#consent.nextCheckMs(state.rttMs);
  }

  /**
   * Takes a STUN message. What is not signed as agreed is ignored; a request that is, on a path which was not added,
   * adds it (RFC 8445, section 7.3.1.3).
   */
  receive(path: IcePath, packet: Buffer, nowMs: number): void {
    const message = parseStun(packet);
    if (message?.method !== stunMethod.binding) return;
    const { local, remote } = this.#options;
    if (message.class === 'request') {
      const username = attributeOf(message, stunAttribute.username)?.toString();
      if (username !== `${local.ufrag}:${remote.ufrag}` || !hasIntegrity(packet, local.pwd)) return;
      if (!this.#stateOf(path)) this.add(path, nowMs);
      const state = this.#stateOf(path)!;
      state.heard = true;
      this.#handleRequest(state, message, nowMs);
    } else if (message.class !== 'indication' && hasIntegrity(packet, remote.pwd)) {
      const state = this.#stateOf(path);
      if (state) this.#handleResponse(state, message, nowMs);
    }
  }

  #stateOf(path: IcePath): PathState | undefined {
    return this.#paths.find((state) => state.path === path);
  }

  /** Once a path is chosen only that one is kept alive. */
  #isChecked(state: PathState): boolean {
    return this.#selected === undefined || (this.#selected === state && this.#options.isWatched);
  }

  #check(state: PathState, nowMs: number, nominating: boolean): void {
    const { local, remote, priority, tieBreaker, randomBytes } = this.#options;
    const transactionId = randomBytes(12);
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
    if (state.pending.length > maxPending) state.pending.shift();
    state.lastCheckMs = nowMs;
    const doublings = Math.max(0, Math.ceil((++state.checksSent - quickChecks) / 4));
    state.nextCheckMs = nowMs + Math.min(maxRetryMs, firstRetryMs * 2 ** doublings);
    if (this.#selected === state) this.#consent?.checked(nowMs);
    state.path.send(serializeStun(message, remote.pwd));
  }

  /** A check that the other side's message asks for: at once, but not in a storm where answers are lost. */
  #checkSoon(state: PathState, nowMs: number): void {
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
    if (!this.#controlling && attributeOf(message, stunAttribute.useCandidate)) state.chosen = true;
    if (!state.succeeded) this.#checkSoon(state, nowMs);
    else if (state.chosen) this.#select(state, nowMs);
  }

  #answer(
    state: PathState,
    { transactionId }: StunMessage,
    kind: 'success' | 'error',
    attributes: StunAttribute[],
  ) {
    const response = { class: kind, method: stunMethod.binding, transactionId, attributes };
    state.path.send(serializeStun(response, this.#options.local.pwd));
  }

  /** Settles who nominates (RFC 8445, section 7.3.1.1); true when the other side has to give way. */
  #conflicts(message: StunMessage): boolean {
    const type = this.#controlling ? stunAttribute.iceControlling : stunAttribute.iceControlled;
    const theirs = attributeOf(message, type);
    if (theirs?.length !== 8) return false;
    const oursWins = this.#options.tieBreaker >= theirs.readBigUInt64BE();
    if (oursWins === this.#controlling) return true;
    this.#controlling = !this.#controlling;
    return false;
  }

  #handleResponse(state: PathState, message: StunMessage, nowMs: number): void {
    const id = message.transactionId.toString('hex');
    const check = state.pending.find((pending) => pending.id === id);
    if (!check) return;
    state.pending = state.pending.filter((pending) => pending !== check);
    if (message.class === 'error') {
      if (errorCodeOf(message) !== roleConflict) return;
      if (check.controlling === this.#controlling) this.#controlling = !this.#controlling;
      this.#checkSoon(state, nowMs);
      return;
    }
    const isFirst = !state.succeeded;
    state.succeeded = true;
    state.heard = true;
    state.rttMs = nowMs - check.sentMs;
    if (this.#selected === state) this.#consent?.answered(nowMs);
    if (isFirst) this.#options.onUsable();
    if (check.nominating || state.chosen) this.#select(state, nowMs);
    else if (this.#controlling && !this.#selected) this.#check(state, nowMs, true);
  }

  #select(state: PathState, nowMs: number): void {
    if (this.#selected === state) return;
    this.#selected = state;
    this.#consent = new Consent(nowMs);
    this.#options.onSelected(state.path);
  }
}

function bigEndian(value: number | bigint, bytes: 4 | 8): Buffer {
  const buffer = Buffer.alloc(bytes);
  if (bytes === 4) buffer.writeUInt32BE(Number(value));
  else buffer.writeBigUInt64BE(BigInt(value));
  return buffer;
}

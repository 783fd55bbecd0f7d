import { randomBytes } from 'node:crypto';
import { OffhookError } from '../timeline/index.js';
import { candidateAddress, type IceCandidate, type TurnServer } from './ice.js';
import type { IceCredentials, IcePath } from './ice-agent.js';
import { type BridgeSession, IceBridge } from './ice-bridge.js';
import { candidatesIn, isIceLite, readIceCredentials, withIceCredentials } from './sdp-ice.js';

export interface IceSessionOptions {
  /** For logs. */
  name: string;
  bindAddress?: string;
  turnServers: readonly TurnServer[];
  /** Whether to connect over TCP where UDP does not. */
  tcp: boolean;
  /** Leave the addon out of it, which would connect without a relay whatever it is told. */
  relayOnly: boolean;
  onLocalCandidate: (candidate: IceCandidate) => void;
  onStateChange: () => void;
}

export interface Description {
  type: 'offer' | 'answer';
  sdp: string;
}

/** `addon`: its own ICE agent connects, or has. The others: a bridge does. */
export type IceSessionState = 'addon' | 'connecting' | 'connected' | 'failed';

const restartTimeoutMs = 15_000;
/** UDP takes well under a second where it works at all. */
const fallbackAfterMs = 1_000;
/** A server that saw UDP fail for this participant may offer TCP alone; its candidates come within this of each other. */
const nothingElseAfterMs = 50;
const turnAfterMs = 500;
const holdMs = 100;

/**
 * What the other side knows of ICE, where it is not what the addon knows: the addon keeps its credentials for life, so
 * after a restart descriptions are rewritten on their way in and out, and a bridge carries the packets. A bridge stands
 * in as well when the addon does not connect over UDP.
 */
export class IceSession {
  #options: IceSessionOptions;
  #state: IceSessionState = 'addon';
  #addonPort: number | undefined;
  #addonConnected = false;
  /** As the addon believes, and as they are. */
  #addon: { local?: IceCredentials; remote?: IceCredentials } = {};
  #actual: { local?: IceCredentials; remote?: IceCredentials } = {};
  #offeredFirst: boolean | undefined;
  #remoteIsLite = false;
  #beforeRestart: IceCredentials | undefined;
  /** A restart that the other side has yet to answer, or we. */
  #restart: 'offered' | 'asked' | undefined;
  /** Of the other side, since its last description with new credentials. */
  #candidates: IceCandidate[] = [];
  #bridge: IceBridge | undefined;
  #timer: NodeJS.Timeout | undefined;
  #held: IceCandidate[] = [];
  #holdTimer: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: IceSessionOptions) {
    this.#options = options;
  }

  get state(): IceSessionState {
    return this.#state;
  }

  /** The path in use, when it is a bridge's. */
  get path(): IcePath | undefined {
    return this.#bridge?.selected;
  }

  /**
   * Takes a candidate of the addon's for the other side. Who offers keeps them for a moment: its own checks lead to the
   * same connection, and a check of the other side that comes first would put them off by 50 ms (libjuice).
   */
  localCandidate(candidate: IceCandidate): void {
    const parsed = candidateAddress(candidate.candidate);
    if (parsed?.protocol === 'udp' && parsed.type === 'host') this.#addonPort ??= parsed.port;
    if (this.#options.relayOnly) return;
    if (!this.#offeredFirst || this.#state !== 'addon' || this.#addonConnected || this.#bridge) {
      this.#options.onLocalCandidate(candidate);
      return;
    }
    this.#held.push(candidate);
    this.#holdTimer ??= setTimeout(() => this.#releaseHeld(), holdMs).unref();
  }

  /** The addon has found a pair, by itself or over the bridge. */
  addonConnected(): void {
    if (this.#addonConnected) return;
    this.#addonConnected = true;
    clearTimeout(this.#timer);
    this.#releaseHeld();
    if (this.#bridge?.selected) return;
    this.#bridge?.close();
    this.#bridge = undefined;
  }

  /**
   * Before an offer with new credentials.
   *
   * @throws OffhookError `OFFHOOK_NOT_SUPPORTED` when there is nothing to restart yet.
   */
  beginRestart(): void {
    this.#assertRestartable();
    if (this.#restart !== 'offered') this.#beforeRestart = this.#actual.local;
    this.#restart = 'offered';
    this.#candidates = [];
    this.#newLocalCredentials();
  }

  /** Rewrites a description of the addon's for the other side. */
  outgoing(description: Description): Description {
    const addonLocal = readIceCredentials(description.sdp);
    this.#offeredFirst ??= description.type === 'offer';
    this.#addon.local ??= addonLocal;
    this.#actual.local ??= addonLocal;
    if (this.#restart === 'asked' && description.type === 'answer') {
      this.#newLocalCredentials();
      this.#restartWithBridge(this.#remoteIsLite);
    }
    const { local } = this.#actual;
    if (!local || local.ufrag === this.#addon.local?.ufrag) return description;
    return { ...description, sdp: withIceCredentials(description.sdp, local) };
  }

  /** Rewrites a description of the other side's for the addon. */
  incoming(description: Description): Description {
    const remote = readIceCredentials(description.sdp);
    if (!remote) return description;
    this.#remoteIsLite = isIceLite(description.sdp);
    this.#addon.remote ??= remote;
    const known = this.#actual.remote ?? remote;
    const changed = remote.ufrag !== known.ufrag || remote.pwd !== known.pwd;
    if (changed && description.type === 'offer') {
      this.#assertRestartable();
      this.#restart = 'asked';
      this.#candidates = [];
      this.#change('connecting');
    }
    this.#actual.remote = remote;
    if (this.#restart === 'offered' && description.type === 'answer') {
      if (changed) this.#restartWithBridge(true);
      else this.#declineRestart();
    }
    for (const candidate of candidatesIn(description.sdp)) this.addCandidate({ candidate });
    if (this.#state === 'addon' && !this.#options.relayOnly) return description;
    return { ...description, sdp: withIceCredentials(description.sdp, this.#addon.remote) };
  }

  /** Takes a candidate of the other side; false when it is for the addon too. */
  addCandidate(candidate: IceCandidate): boolean {
    const isTcp = isTcpCandidate(candidate);
    this.#candidates.push(candidate);
    if (this.#state === 'addon' && !this.#addonConnected && !this.#bridge) {
      this.#fallBackLater(fallbackAfterMs);
      if (isTcp) setTimeout(() => this.#fallBackUnlessUdp(), nothingElseAfterMs).unref();
    }
    if (!this.#restart) this.#bridge?.addCandidate(candidate);
    return this.#state !== 'addon' || this.#options.relayOnly || isTcp;
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    clearTimeout(this.#holdTimer);
    this.#bridge?.close();
    this.#bridge = undefined;
  }

  #releaseHeld(): void {
    clearTimeout(this.#holdTimer);
    for (const candidate of this.#held.splice(0)) this.#options.onLocalCandidate(candidate);
  }

  /** Other ways are tried when UDP has not connected by then; at once where they are all that is allowed. */
  #fallBackLater(delayMs: number): void {
    this.#timer ??= setTimeout(() => this.#fallBack(), this.#options.relayOnly ? 0 : delayMs).unref();
  }

  #fallBackUnlessUdp(): void {
    if (!this.#bridge && this.#candidates.every(isTcpCandidate)) this.#fallBack();
  }

  #fallBack(): void {
    if (this.#addonConnected || this.#state !== 'addon' || !this.#isRestartable) return;
    const { relayOnly, tcp, turnServers } = this.#options;
    // TURN over UDP is the addon's own business, unless it is left out.
    const others = turnServers.filter(({ transport }) => relayOnly || transport !== 'udp');
    if (!tcp && others.length === 0) return;
    this.#startBridge(this.#remoteIsLite || this.#offeredFirst === true, {
      protocols: tcp && !relayOnly ? ['tcp'] : [],
      turnServers: others,
      turnAfterMs: relayOnly ? 0 : turnAfterMs,
    });
  }

  /** The other side answered with its old credentials: it has not restarted, and what was in use goes on. */
  #declineRestart(): void {
    this.#restart = undefined;
    this.#actual.local = this.#beforeRestart;
    this.#change(this.#bridge?.selected ? 'connected' : 'addon');
  }

  #restartWithBridge(controlling: boolean): void {
    const { relayOnly, turnServers } = this.#options;
    this.#restart = undefined;
    this.#startBridge(controlling, {
      protocols: relayOnly ? [] : ['udp', 'tcp'],
      turnServers,
      turnAfterMs: relayOnly ? 0 : fallbackAfterMs,
    });
  }

  get #isRestartable(): boolean {
    return (
      this.#addonPort !== undefined && this.#addon.local !== undefined && this.#addon.remote !== undefined
    );
  }

  #assertRestartable(): void {
    if (this.#isRestartable) return;
    throw new OffhookError('OFFHOOK_NOT_SUPPORTED', 'ICE cannot restart before it has started');
  }

  #newLocalCredentials(): void {
    this.#actual.local = {
      ufrag: randomBytes(6).toString('base64'),
      pwd: randomBytes(18).toString('base64'),
    };
    this.#change('connecting');
  }

  #startBridge(
    controlling: boolean,
    ways: Pick<BridgeSession, 'protocols' | 'turnServers' | 'turnAfterMs'>,
  ): void {
    if (this.#closed) return;
    const { name, bindAddress } = this.#options;
    this.#bridge ??= new IceBridge({
      name,
      addon: { address: bindAddress ?? '127.0.0.1', port: this.#addonPort! },
      addonCredentials: { local: this.#addon.local!, remote: this.#addon.remote! },
      ...(bindAddress === undefined ? {} : { bindAddress }),
      onLocalCandidate: (candidate) =>
        this.#options.onLocalCandidate({ candidate, sdpMid: '0', sdpMLineIndex: 0 }),
      onConnected: () => {
        if (this.#state !== 'addon') this.#change('connected');
      },
      onLost: () => this.#change('failed'),
    });
    const { local, remote } = this.#actual;
    this.#bridge.start({ local: local!, remote: remote!, controlling, ...ways });
    for (const candidate of this.#candidates) this.#bridge.addCandidate(candidate);
  }

  #change(state: IceSessionState): void {
    if (state === this.#state || this.#closed) return;
    this.#state = state;
    clearTimeout(this.#timer);
    if (state === 'connecting') {
      this.#timer = setTimeout(() => this.#change('failed'), restartTimeoutMs);
      this.#timer.unref();
    }
    this.#options.onStateChange();
  }
}

const isTcpCandidate = ({ candidate }: IceCandidate): boolean =>
  candidateAddress(candidate)?.protocol === 'tcp';

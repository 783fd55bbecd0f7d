import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { OffhookError } from '../timeline/index.js';
import { CandidateHold } from './candidate-hold.js';
import { candidateAddress, type IceCandidate, type StunServer, type TurnServer } from './ice.js';
import type { IceCredentials, IcePath } from './ice-agent.js';
import { IceBridge } from './ice-bridge.js';
import {
  candidatesIn,
  isIceLite,
  readIceCredentials,
  withCandidates,
  withIceCredentials,
  withoutIceLite,
} from './sdp-ice.js';

export interface IceSessionOptions {
  /** For logs. */
  name: string;
  bindAddress: string | undefined;
  stunServers: readonly StunServer[];
  turnServers: readonly TurnServer[];
  /** Where the addon receives. */
  addonAddress: string;
  /** Connect over a bridge from the start; otherwise only an ICE restart makes one. */
  bridged: boolean;
  /** Over relays alone. */
  relayOnly: boolean;
  onLocalCandidate: (candidate: IceCandidate) => void;
  /** A candidate for the addon. */
  onAddonCandidate: (candidate: IceCandidate) => void;
  onStateChange: () => void;
  /** A bridge has found a path, the first one or another. */
  onPath: () => void;
  /** The path of a bridge no longer answers; it may again. */
  onSilent: () => void;
}

export interface Description {
  type: 'offer' | 'answer';
  sdp: string;
}

/** `addon`: as the addon's. The others: what comes of an ICE restart, of which the addon knows nothing. */
export type IceSessionState = 'addon' | 'connecting' | 'connected' | 'failed';

const restartTimeoutMs = 15_000;
/** UDP takes that long where it works at all; where the way is longer, it still answers before TCP does. */
const tcpAfterMs = 200;
const turnAfterMs = 500;
/** A socket has its port at once, where it is to be had at all. */
const gatherWithinMs = 50;

/**
 * What the other side knows of ICE, where it is not what the addon knows: the addon keeps its credentials for life, so
 * after a restart descriptions are rewritten on their way in and out, and a bridge carries the packets. It may do so from
 * the start.
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
  /** What the bridge has told of itself for the credentials that hold now. */
  #gathered: string[] = [];
  #onGathered: () => void = () => {};
  /** UDP stopped in mid-connection: where the next search begins with everything at once. */
  #wentSilent = false;
  #timer: NodeJS.Timeout | undefined;
  #hold: CandidateHold;
  #closed = false;

  constructor(options: IceSessionOptions) {
    this.#options = options;
    this.#hold = new CandidateHold(options.onLocalCandidate);
  }

  get state(): IceSessionState {
    return this.#state;
  }

  /** The path in use, when it is a bridge's. */
  get path(): IcePath | undefined {
    return this.#bridge?.selected;
  }

  /** Takes a candidate of the addon's for the other side. */
  localCandidate(candidate: IceCandidate): void {
    const parsed = candidateAddress(candidate.candidate);
    if (parsed?.protocol === 'udp' && parsed.type === 'host') this.#addonPort ??= parsed.port;
    if (this.#options.bridged) {
      this.#startBridged();
      return;
    }
    const isHeld = this.#offeredFirst && this.#state === 'addon' && !this.#addonConnected && !this.#bridge;
    if (isHeld) this.#hold.push(candidate);
    else this.#options.onLocalCandidate(candidate);
  }

  /** The addon has found a pair, by itself or over the bridge. */
  addonConnected(): void {
    if (this.#addonConnected) return;
    this.#addonConnected = true;
    this.#hold.release();
    this.#bridge?.addonIsReady();
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
    this.#startBridged();
    const { local } = this.#actual;
    if (!local || local.ufrag === this.#addon.local?.ufrag) return description;
    return { ...description, sdp: withIceCredentials(description.sdp, local) };
  }

  /**
   * An answer with the candidates of a bridge in it. The other side may then be checked at once: candidates that come by
   * themselves may come after a check, whose sender is a stranger then, for whom a controlling server waits a second.
   */
  async completed(answer: Description): Promise<Description> {
    const gathered = new Promise<void>((resolve) => {
      this.#onGathered = resolve;
      void this.#bridge?.gathered.then(resolve);
    });
    await Promise.race([gathered, delay(gatherWithinMs, undefined, { ref: false })]);
    return { ...answer, sdp: withCandidates(answer.sdp, this.#gathered) };
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
    if (this.#options.bridged) this.#startBridged();
    else if (this.#state === 'addon') return description;
    return { ...description, sdp: withoutIceLite(withIceCredentials(description.sdp, this.#addon.remote)) };
  }

  /** Takes a candidate of the other side; false when it is for the addon. */
  addCandidate(candidate: IceCandidate): boolean {
    this.#candidates.push(candidate);
    if (!this.#restart) this.#bridge?.addCandidate(candidate);
    return this.#options.bridged || this.#state !== 'addon' || isTcpCandidate(candidate);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#hold.close();
    this.#bridge?.close();
    this.#bridge = undefined;
  }

  /** Begins to search once both sides' descriptions and the addon's port are known. */
  #startBridged(): void {
    if (!this.#options.bridged || this.#bridge || !this.#isRestartable) return;
    this.#search(this.#remoteIsLite || this.#offeredFirst === true);
  }

  /** The other side answered with its old credentials: it has not restarted, and what was in use goes on. */
  #declineRestart(): void {
    this.#restart = undefined;
    this.#actual.local = this.#beforeRestart;
    this.#change(this.#bridge?.selected ? 'connected' : 'addon');
  }

  #restartWithBridge(controlling: boolean): void {
    this.#restart = undefined;
    this.#search(controlling);
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

  /** Searches a path for the credentials that hold now. */
  #search(controlling: boolean): void {
    if (this.#closed) return;
    const { relayOnly, stunServers, turnServers } = this.#options;
    const { local, remote } = this.#actual;
    this.#bridge ??= this.#newBridge();
    this.#gathered = [];
    this.#bridge.start({
      local: local!,
      remote: remote!,
      controlling,
      protocols: relayOnly ? [] : ['udp', 'tcp'],
      tcpAfterMs: this.#wentSilent ? 0 : tcpAfterMs,
      stunServers,
      turnServers,
      turnAfterMs: relayOnly || this.#wentSilent ? 0 : turnAfterMs,
    });
    for (const candidate of this.#candidates) this.#bridge.addCandidate(candidate);
    void this.#bridge.gathered.then(() => this.#onGathered());
  }

  #newBridge(): IceBridge {
    const { name, bindAddress, bridged, addonAddress, onAddonCandidate, onPath } = this.#options;
    const nominating = this.#offeredFirst ? 'addonNominates' : 'bridgeNominates';
    return new IceBridge({
      name,
      addon: { address: addonAddress, port: this.#addonPort! },
      addonCredentials: { local: this.#addon.local!, remote: this.#addon.remote! },
      inner: bridged ? nominating : 'bridgeTakesOver',
      bindAddress,
      onLocalCandidate: (candidate) => {
        this.#gathered.push(candidate);
        this.#options.onLocalCandidate(inFirstSection(candidate));
      },
      onAddonCandidate: (candidate) => onAddonCandidate(inFirstSection(candidate)),
      onUsable: onPath,
      onConnected: () => {
        this.#wentSilent = false;
        if (this.#state !== 'addon') this.#change('connected');
      },
      onSilent: () => {
        this.#wentSilent = true;
        this.#options.onSilent();
      },
      onLost: () => this.#change('failed'),
    });
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

const inFirstSection = (candidate: string): IceCandidate => ({ candidate, sdpMid: '0', sdpMLineIndex: 0 });

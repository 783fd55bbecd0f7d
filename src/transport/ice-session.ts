import { randomBytes } from 'node:crypto';
import { OffhookError } from '../timeline/index.js';
import { candidateAddress, type IceCandidate } from './ice.js';
import type { IceCredentials } from './ice-agent.js';
import { IceBridge } from './ice-bridge.js';
import { candidatesIn, isIceLite, readIceCredentials, withIceCredentials } from './sdp-ice.js';

export interface IceSessionOptions {
  /** For logs. */
  name: string;
  bindAddress?: string;
  onLocalCandidate: (candidate: string) => void;
  /** `connecting` when a restart begins, then `connected` or `failed`. */
  onStateChange: (state: IceSessionState) => void;
}

export interface Description {
  type: 'offer' | 'answer';
  sdp: string;
}

/** `addon`: ICE is the addon's own business. The others: a bridge carries the connection, or is about to. */
export type IceSessionState = 'addon' | 'connecting' | 'connected' | 'failed';

const restartTimeoutMs = 15_000;

/**
 * What the other side knows of ICE, where it is not what the addon knows: the addon keeps its credentials for life, so
 * after a restart descriptions are rewritten on their way in and out, and a bridge carries the packets.
 */
export class IceSession {
  #options: IceSessionOptions;
  #state: IceSessionState = 'addon';
  #addonPort: number | undefined;
  /** As the addon believes, and as they are. */
  #addon: { local?: IceCredentials; remote?: IceCredentials } = {};
  #actual: { local?: IceCredentials; remote?: IceCredentials } = {};
  #remoteIsLite = false;
  /** A restart that the other side has yet to answer, or we. */
  #restart: 'offered' | 'asked' | undefined;
  #early: IceCandidate[] = [];
  #bridge: IceBridge | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: IceSessionOptions) {
    this.#options = options;
  }

  get state(): IceSessionState {
    return this.#state;
  }

  /** Learns where the addon's ICE agent receives. */
  sawLocalCandidate(candidate: string): void {
    const parsed = candidateAddress(candidate);
    if (parsed?.protocol === 'udp' && parsed.type === 'host') this.#addonPort ??= parsed.port;
  }

  /**
   * Before an offer with new credentials.
   *
   * @throws OffhookError `OFFHOOK_NOT_SUPPORTED` when there is nothing to restart yet.
   */
  beginRestart(): void {
    this.#assertRestartable();
    this.#restart = 'offered';
    this.#newLocalCredentials();
  }

  /** Rewrites a description of the addon's for the other side. */
  outgoing(description: Description): Description {
    const addonLocal = readIceCredentials(description.sdp);
    this.#addon.local ??= addonLocal;
    this.#actual.local ??= addonLocal;
    if (this.#restart === 'asked' && description.type === 'answer') {
      this.#restart = undefined;
      this.#newLocalCredentials();
      this.#startBridge(this.#remoteIsLite);
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
      this.#change('connecting');
    }
    this.#actual.remote = remote;
    if (this.#restart === 'offered' && description.type === 'answer') {
      this.#restart = undefined;
      this.#startBridge(true);
    }
    if (this.#state === 'addon') return description;
    for (const candidate of candidatesIn(description.sdp)) this.addCandidate({ candidate });
    return { ...description, sdp: withIceCredentials(description.sdp, this.#addon.remote) };
  }

  /** Takes a candidate of the other side; false when it is for the addon. */
  addCandidate(candidate: IceCandidate): boolean {
    if (this.#state === 'addon') return false;
    if (this.#restart) this.#early.push(candidate);
    else this.#bridge?.addCandidate(candidate);
    return true;
  }

  close(): void {
    clearTimeout(this.#timer);
    this.#bridge?.close();
    this.#bridge = undefined;
  }

  #assertRestartable(): void {
    if (this.#addonPort !== undefined && this.#addon.local && this.#addon.remote) return;
    throw new OffhookError('OFFHOOK_NOT_SUPPORTED', 'ICE cannot restart before it has started');
  }

  #newLocalCredentials(): void {
    this.#actual.local = {
      ufrag: randomBytes(6).toString('base64'),
      pwd: randomBytes(18).toString('base64'),
    };
    this.#change('connecting');
  }

  #startBridge(controlling: boolean): void {
    const { name, bindAddress } = this.#options;
    const addonCredentials = { local: this.#addon.local!, remote: this.#addon.remote! };
    this.#bridge ??= new IceBridge({
      name,
      addon: { address: bindAddress ?? '127.0.0.1', port: this.#addonPort! },
      addonCredentials,
      ...(bindAddress === undefined ? {} : { bindAddress }),
      onLocalCandidate: this.#options.onLocalCandidate,
      onConnected: () => this.#change('connected'),
      onLost: () => this.#change('failed'),
    });
    this.#bridge.start({
      local: this.#actual.local!,
      remote: this.#actual.remote!,
      controlling,
      udp: true,
    });
    for (const candidate of this.#early.splice(0)) this.#bridge.addCandidate(candidate);
  }

  #change(state: IceSessionState): void {
    if (state === this.#state) return;
    this.#state = state;
    clearTimeout(this.#timer);
    if (state === 'connecting') {
      this.#timer = setTimeout(() => this.#change('failed'), restartTimeoutMs);
      this.#timer.unref();
    }
    this.#options.onStateChange(state);
  }
}

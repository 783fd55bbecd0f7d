import { createRequire } from 'node:module';
import type * as Addon from 'node-datachannel';
import { OffhookError } from '../timeline/index.js';
import { addonConfig } from './addon-config.js';
import { type CandidatePair, pairOfAddon, pairOfPath } from './candidate-pair.js';
import type { Certificate } from './certificate.js';
import { DataChannel } from './data-channel.js';
import { candidateAddress, type IceCandidate, type IceServer, stunServers, turnServers } from './ice.js';
import { IceSession } from './ice-session.js';
import { assertSocketPossible } from './local-address.js';
import { type AudioTrackOptions, audioSection } from './media-section.js';
import { MediaTrack } from './media-track.js';
import type { Traffic } from './traffic.js';

// Loaded when the first connection is made: a process that never connects never pays for the addon's threads.
const require = createRequire(import.meta.url);
let addon: typeof Addon | undefined;
const loadAddon = (): typeof Addon => (addon ??= require('node-datachannel') as typeof Addon);

/** Ends the addon's threads. Call once, when no peer connection is left and none will be made. */
export function shutdownTransport(): void {
  addon?.cleanup();
}

export type PeerConnectionState = 'new' | 'connecting' | 'connected' | 'disconnected' | 'failed' | 'closed';

export interface SessionDescription {
  type: 'offer' | 'answer';
  sdp: string;
}

export interface PeerConnectionOptions {
  /** For logs only. */
  name: string;
  iceServers?: readonly IceServer[];
  /** `relay`: only candidates of TURN servers are used. */
  iceTransportPolicy?: 'all' | 'relay';
  /** Local address to gather on; all of them without it. */
  bindAddress?: string;
  /** Local UDP ports to use, inclusive. */
  portRange?: { begin: number; end: number };
  /** Shares one UDP port (portRange.begin) between the peer connections of this process. */
  udpMux?: boolean;
  /** Certificate for DTLS; one of its own without it. */
  certificate?: Certificate;
  /**
   * Leaves ICE to an agent of our own, not to the addon's: over UDP, TCP (RFC 6544, active) and TURN,
   * with consent asked for twice a second. Each packet crosses the thread once more. Implied by `relay`.
   */
  bridged?: boolean;
}

const loopback = '127.0.0.1';

/** One WebRTC peer connection (RFC 8829), with trickled candidates and no negotiation of its own accord. */
export class PeerConnection {
  #pc: Addon.PeerConnection;
  #ice: IceSession;
  #traffic: Traffic = { bytesSent: 0, bytesReceived: 0 };
  #closed = false;
  #tracks: MediaTrack[] = [];
  #channels: DataChannel[] = [];
  #hasSections = false;
  #bindAddress: string | undefined;
  #isBridged: boolean;
  #awaited: { resolve(description: SessionDescription): void; reject(error: OffhookError): void } | undefined;
  onLocalCandidate: (candidate: IceCandidate) => void = () => {};
  onStateChange: (state: PeerConnectionState) => void = () => {};
  onIceStateChange: (state: string) => void = () => {};
  /** Nothing answers on the path any more, since 1.5 s: time to restart ICE. Told of a bridged connection only. */
  onSilent: () => void = () => {};
  onGatheringComplete: () => void = () => {};
  onTrack: (track: MediaTrack) => void = () => {};
  onDataChannel: (channel: DataChannel) => void = () => {};

  constructor(options: PeerConnectionOptions) {
    const { PeerConnection: AddonPeerConnection } = loadAddon();
    const { iceServers = [] } = options;
    const relayOnly = options.iceTransportPolicy === 'relay';
    const bridged = relayOnly || (options.bridged ?? false);
    this.#isBridged = bridged;
    this.#bindAddress = bridged ? loopback : options.bindAddress;
    const config = addonConfig(options, bridged, this.#bindAddress);
    this.#pc = new AddonPeerConnection(options.name, config);
    this.#ice = new IceSession({
      name: options.name,
      bindAddress: options.bindAddress,
      addonAddress: this.#bindAddress ?? loopback,
      stunServers: stunServers(iceServers),
      turnServers: turnServers(iceServers),
      bridged,
      relayOnly,
      onLocalCandidate: (candidate) => this.onLocalCandidate(candidate),
      onAddonCandidate: (candidate) => this.#addToAddon(candidate),
      onStateChange: () => this.onStateChange(this.state),
      onPath: () => this.onIceStateChange('connected'),
      onSilent: () => this.onSilent(),
    });
    // The addon may still deliver callbacks that were queued when it was closed.
    const unlessClosed =
      <Args extends unknown[]>(act: (...args: Args) => void) =>
      (...args: Args) => {
        if (!this.#closed) act(...args);
      };
    this.#pc.onLocalDescription(
      unlessClosed((sdp, type) => {
        const awaited = this.#awaited;
        this.#awaited = undefined;
        awaited?.resolve(this.#ice.outgoing({ sdp, type: type as SessionDescription['type'] }));
      }),
    );
    this.#pc.onLocalCandidate(
      unlessClosed((candidate, sdpMid) => {
        // Servers refuse candidates that begin with `a=`.
        this.#ice.localCandidate({ candidate: candidate.replace(/^a=/, ''), sdpMid, sdpMLineIndex: 0 });
      }),
    );
    this.#pc.onStateChange(unlessClosed(() => this.onStateChange(this.state)));
    this.#pc.onIceStateChange(
      unlessClosed((state) => {
        if (state === 'connected' || state === 'completed') this.#ice.addonConnected();
        // The addon has no more than found the bridge.
        if (!bridged) this.onIceStateChange(state);
      }),
    );
    this.#pc.onGatheringStateChange(
      unlessClosed((state) => {
        if (state === 'complete') this.onGatheringComplete();
      }),
    );
    this.#pc.onTrack(unlessClosed((track) => this.onTrack(this.#adopt(track))));
    this.#pc.onDataChannel(unlessClosed((channel) => this.onDataChannel(this.#adoptChannel(channel))));
  }

  get state(): PeerConnectionState {
    if (this.#closed) return 'closed';
    const state = this.#pc.state() as PeerConnectionState;
    const ice = this.#ice.state;
    return state === 'connected' && ice !== 'addon' ? ice : state;
  }

  get isStable(): boolean {
    return !this.#closed && this.#pc.signalingState() === 'stable';
  }

  /**
   * Makes an offer of what has been added and sets it as the local description; an offer that was not answered is
   * withdrawn.
   *
   * @param iceRestart with new ICE credentials: the way back when addresses have changed, or at a resumed session.
   *   Rejects with `OFFHOOK_NOT_SUPPORTED` before the first answer.
   */
  async createOffer({ iceRestart = false }: { iceRestart?: boolean } = {}): Promise<SessionDescription> {
    this.#assertOpen();
    const state = this.#pc.signalingState();
    if (state === 'have-remote-offer')
      throw transportError('no offer can be made', 'an offer is to be answered');
    if (!this.#hasSections)
      throw transportError('no offer can be made', 'there is no track and no data channel');
    if (iceRestart) this.#ice.beginRestart();
    if (state === 'have-local-offer') this.#pc.setLocalDescription('rollback');
    return this.#describe('offer');
  }

  /** Answers the remote offer that was set last, with ICE credentials of the caller's choice if given. */
  async createAnswer(credentials?: { iceUfrag: string; icePwd: string }): Promise<SessionDescription> {
    this.#assertOpen();
    if (this.#pc.signalingState() !== 'have-remote-offer') {
      throw transportError('no answer can be made', 'there is no offer to answer');
    }
    const answer = await this.#describe('answer', credentials);
    return this.#isBridged ? this.#ice.completed(answer) : answer;
  }

  /** The addon ends the process when it is asked for a description that it cannot make: check before. */
  #describe(
    type: 'offer' | 'answer',
    credentials?: { iceUfrag: string; icePwd: string },
  ): Promise<SessionDescription> {
    this.#awaited?.reject(new OffhookError('OFFHOOK_ABORTED', `another ${type} was asked for`));
    if (this.#pc.gatheringState() === 'new') assertSocketPossible(this.#bindAddress);
    return new Promise((resolve, reject) => {
      this.#awaited = { resolve, reject };
      this.#pc.setLocalDescription(type, credentials);
    });
  }

  /** An offer with new ICE credentials restarts ICE; the answer to it has new ones too. */
  setRemoteDescription(description: SessionDescription): void {
    this.#assertOpen();
    try {
      const { sdp, type } = this.#ice.incoming(description);
      this.#pc.setRemoteDescription(sdp, type);
    } catch (cause) {
      throw transportError(`the remote ${description.type} was refused`, cause);
    }
    if (description.type === 'offer') this.#hasSections = true;
  }

  /** Adds a trickled candidate of the other side. A malformed one is an error and changes nothing. */
  addIceCandidate(candidate: IceCandidate): void {
    if (this.#closed || candidate.candidate === '') return;
    const refused = `the candidate "${candidate.candidate}" was refused`;
    if (!candidateAddress(candidate.candidate)) throw transportError(refused, 'it is malformed');
    if (this.#ice.addCandidate(candidate)) return;
    try {
      this.#addToAddon(candidate);
    } catch (cause) {
      throw transportError(refused, cause);
    }
  }

  addAudioTrack(options: AudioTrackOptions): MediaTrack {
    this.#assertOpen();
    this.#hasSections = true;
    return this.#adopt(this.#pc.addTrack(audioSection(loadAddon(), options)));
  }

  createDataChannel(label: string, options: { ordered: boolean; maxRetransmits?: number }): DataChannel {
    this.#assertOpen();
    const { ordered, maxRetransmits } = options;
    this.#hasSections = true;
    return this.#adoptChannel(
      this.#pc.createDataChannel(label, {
        unordered: !ordered,
        ...(maxRetransmits === undefined ? {} : { maxRetransmits }),
      }),
    );
  }

  /** The pair of addresses that ICE chose, while connected. */
  selectedCandidatePair(): CandidatePair | undefined {
    if (this.#closed) return undefined;
    if (this.#ice.path) return pairOfPath(this.#ice.path);
    if (this.#isBridged) return undefined;
    const pair = this.#pc.getSelectedCandidatePair();
    return pair ? pairOfAddon(pair) : undefined;
  }

  /** Round trip of the SCTP association in milliseconds, where there is one. */
  get rttMs(): number | undefined {
    const rttMs = this.#closed ? 0 : this.#pc.rtt();
    return rttMs > 0 ? rttMs : undefined;
  }

  /** Of media packets and messages, without the overhead of what carries them. */
  get bytesSent(): number {
    return this.#traffic.bytesSent;
  }

  get bytesReceived(): number {
    return this.#traffic.bytesReceived;
  }

  /** Closes every track, channel and socket; no callback comes afterwards. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#awaited?.reject(new OffhookError('OFFHOOK_CLOSED', 'the peer connection was closed'));
    this.#awaited = undefined;
    this.#ice.close();
    // The addon would keep the callbacks of tracks and channels that were not closed themselves, with all that they
    // refer to, and abort when its thread ends.
    for (const track of this.#tracks) track.close();
    for (const channel of this.#channels) channel.close();
    this.#pc.close();
  }

  #addToAddon({ candidate, sdpMid }: IceCandidate): void {
    if (!this.#closed) this.#pc.addRemoteCandidate(`a=${candidate.replace(/^a=/, '')}`, sdpMid ?? '0');
  }

  #adopt(addonTrack: Addon.Track): MediaTrack {
    const track = new MediaTrack(addonTrack, this.#traffic);
    this.#tracks = [...this.#tracks.filter(({ isClosed }) => !isClosed), track];
    return track;
  }

  #adoptChannel(addonChannel: Addon.DataChannel): DataChannel {
    const channel = new DataChannel(addonChannel, this.#traffic);
    this.#channels.push(channel);
    return channel;
  }

  #assertOpen(): void {
    if (this.#closed) throw new OffhookError('OFFHOOK_CLOSED', 'the peer connection is closed');
  }
}

function transportError(what: string, cause: unknown): OffhookError {
  if (cause instanceof OffhookError) return cause;
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new OffhookError('OFFHOOK_TRANSPORT', `${what}: ${reason}`, { cause });
}

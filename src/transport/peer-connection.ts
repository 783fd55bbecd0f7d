import { createRequire } from 'node:module';
import type * as Addon from 'node-datachannel';
import { OffhookError } from '../timeline/index.js';
import type { Certificate } from './certificate.js';
import { DataChannel } from './data-channel.js';
import { type IceCandidate, type IceServer, toAddonIceServers } from './ice.js';
import { MediaTrack } from './media-track.js';

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
  /** Gather active TCP candidates too (RFC 6544). */
  iceTcp?: boolean;
}

export interface AudioTrackOptions {
  mid: string;
  direction: 'sendonly' | 'recvonly' | 'sendrecv';
  ssrc: number;
  cname: string;
  /** First part of `a=msid`. */
  streamId: string;
  /** Second part of `a=msid`; LiveKit matches it with AddTrackRequest.cid. */
  trackId: string;
  payloadTypes: { opus: number; red?: number };
  /** Parameters of `a=fmtp` for Opus (RFC 7587), e.g. `minptime=10;useinbandfec=1`. */
  opusParameters: string;
  extensions?: readonly { id: number; uri: string }[];
}

export interface VideoTrackOptions {
  mid: string;
  direction: 'sendonly' | 'recvonly' | 'sendrecv';
  ssrc: number;
  cname: string;
  streamId: string;
  trackId: string;
  /** Lines of the media section without `a=`: rtpmap, fmtp, rtcp-fb, extmap. */
  attributes: readonly string[];
}

export interface CandidatePair {
  local: { address: string; port: number; type: string; protocol: string };
  remote: { address: string; port: number; type: string; protocol: string };
}

const addonDirection = { sendonly: 'SendOnly', recvonly: 'RecvOnly', sendrecv: 'SendRecv' } as const;

/** One WebRTC peer connection (RFC 8829), with trickled candidates and no negotiation of its own accord. */
export class PeerConnection {
  #pc: Addon.PeerConnection;
  #closed = false;
  #awaitedDescription: ((description: SessionDescription) => void) | undefined;
  onLocalCandidate: (candidate: IceCandidate) => void = () => {};
  onStateChange: (state: PeerConnectionState) => void = () => {};
  onIceStateChange: (state: string) => void = () => {};
  onGatheringComplete: () => void = () => {};
  onTrack: (track: MediaTrack) => void = () => {};
  onDataChannel: (channel: DataChannel) => void = () => {};

  constructor(options: PeerConnectionOptions) {
    const { PeerConnection: AddonPeerConnection } = loadAddon();
    this.#pc = new AddonPeerConnection(options.name, {
      iceServers: toAddonIceServers(options.iceServers ?? []),
      iceTransportPolicy: options.iceTransportPolicy ?? 'all',
      // Without it a connection that begins with data channels only has no SRTP, and tracks added later never open.
      forceMediaTransport: true,
      disableAutoNegotiation: true,
      enableIceTcp: options.iceTcp ?? false,
      enableIceUdpMux: options.udpMux ?? false,
      ...(options.certificate === undefined
        ? {}
        : {
            certificatePemFile: options.certificate.certificatePem,
            keyPemFile: options.certificate.keyPem,
          }),
      ...(options.bindAddress === undefined ? {} : { bindAddress: options.bindAddress }),
      ...(options.portRange === undefined
        ? {}
        : { portRangeBegin: options.portRange.begin, portRangeEnd: options.portRange.end }),
    });
    // The addon may still deliver callbacks that were queued when it was closed.
    const unlessClosed =
      <Args extends unknown[]>(act: (...args: Args) => void) =>
      (...args: Args) => {
        if (!this.#closed) act(...args);
      };
    this.#pc.onLocalDescription(
      unlessClosed((sdp, type) => {
        const take = this.#awaitedDescription;
        this.#awaitedDescription = undefined;
        take?.({ sdp, type: type as SessionDescription['type'] });
      }),
    );
    this.#pc.onLocalCandidate(
      unlessClosed((candidate, mid) =>
        // Servers refuse candidates that begin with `a=`.
        this.onLocalCandidate({ candidate: candidate.replace(/^a=/, ''), sdpMid: mid, sdpMLineIndex: 0 }),
      ),
    );
    this.#pc.onStateChange(unlessClosed((state) => this.onStateChange(state as PeerConnectionState)));
    this.#pc.onIceStateChange(unlessClosed((state) => this.onIceStateChange(state)));
    this.#pc.onGatheringStateChange(
      unlessClosed((state) => {
        if (state === 'complete') this.onGatheringComplete();
      }),
    );
    this.#pc.onTrack(unlessClosed((track) => this.onTrack(new MediaTrack(track))));
    this.#pc.onDataChannel(unlessClosed((channel) => this.onDataChannel(new DataChannel(channel))));
  }

  get state(): PeerConnectionState {
    return this.#closed ? 'closed' : (this.#pc.state() as PeerConnectionState);
  }

  get isStable(): boolean {
    return !this.#closed && this.#pc.signalingState() === 'stable';
  }

  /**
   * Makes an offer of what has been added and sets it as the local description.
   *
   * @param iceRestart with new ICE credentials; rejects with `OFFHOOK_NOT_SUPPORTED` where ICE cannot restart.
   */
  async createOffer({ iceRestart = false }: { iceRestart?: boolean } = {}): Promise<SessionDescription> {
    if (iceRestart)
      throw new OffhookError('OFFHOOK_NOT_SUPPORTED', 'ICE cannot restart on this peer connection');
    return this.#describe('offer');
  }

  /** Answers the remote offer that was set last, with ICE credentials of the caller's choice if given. */
  createAnswer(credentials?: { iceUfrag: string; icePwd: string }): Promise<SessionDescription> {
    return this.#describe('answer', credentials);
  }

  #describe(
    type: 'offer' | 'answer',
    credentials?: { iceUfrag: string; icePwd: string },
  ): Promise<SessionDescription> {
    return new Promise((resolve, reject) => {
      try {
        this.#assertOpen();
        this.#awaitedDescription = resolve;
        this.#pc.setLocalDescription(type, credentials);
      } catch (cause) {
        reject(transportError(`the local ${type} could not be made`, cause));
      }
    });
  }

  setRemoteDescription(description: SessionDescription): void {
    this.#assertOpen();
    try {
      this.#pc.setRemoteDescription(description.sdp, description.type);
    } catch (cause) {
      throw transportError(`the remote ${description.type} was refused`, cause);
    }
  }

  /** Adds a trickled candidate of the other side. A malformed one is an error and changes nothing. */
  addIceCandidate(candidate: IceCandidate): void {
    if (this.#closed || candidate.candidate === '') return;
    try {
      this.#pc.addRemoteCandidate(`a=${candidate.candidate.replace(/^a=/, '')}`, candidate.sdpMid ?? '0');
    } catch (cause) {
      throw transportError(`the candidate "${candidate.candidate}" was refused`, cause);
    }
  }

  addAudioTrack(options: AudioTrackOptions): MediaTrack {
    this.#assertOpen();
    const { Audio } = loadAddon();
    const media = new Audio(options.mid, addonDirection[options.direction]);
    const { opus, red } = options.payloadTypes;
    // The order of payload types is the order of preference: RED first where it is wanted.
    if (red !== undefined) media.addAudioCodec(red, 'red/48000/2', `${opus}/${opus}`);
    media.addAudioCodec(opus, 'opus/48000/2', options.opusParameters);
    for (const { id, uri } of options.extensions ?? []) media.parseSdpLine(`a=extmap:${id} ${uri}`);
    media.addSSRC(options.ssrc, options.cname, options.streamId, options.trackId);
    return new MediaTrack(this.#pc.addTrack(media));
  }

  addVideoTrack(options: VideoTrackOptions): MediaTrack {
    this.#assertOpen();
    const { Video } = loadAddon();
    const media = new Video(options.mid, addonDirection[options.direction]);
    for (const attribute of options.attributes) media.parseSdpLine(`a=${attribute}`);
    media.addSSRC(options.ssrc, options.cname, options.streamId, options.trackId);
    return new MediaTrack(this.#pc.addTrack(media));
  }

  createDataChannel(label: string, options: { ordered: boolean; maxRetransmits?: number }): DataChannel {
    this.#assertOpen();
    const { ordered, maxRetransmits } = options;
    return new DataChannel(
      this.#pc.createDataChannel(label, {
        unordered: !ordered,
        ...(maxRetransmits === undefined ? {} : { maxRetransmits }),
      }),
    );
  }

  /** The pair of addresses that ICE chose, while connected. */
  selectedCandidatePair(): CandidatePair | undefined {
    if (this.#closed) return undefined;
    const pair = this.#pc.getSelectedCandidatePair();
    if (!pair) return undefined;
    const side = ({ address, port, type, transportType }: Addon.SelectedCandidateInfo) => ({
      address,
      port,
      type,
      protocol: transportType.toLowerCase(),
    });
    return { local: side(pair.local), remote: side(pair.remote) };
  }

  /** Round trip of the SCTP association in milliseconds, where there is one. */
  get rttMs(): number | undefined {
    const rttMs = this.#closed ? 0 : this.#pc.rtt();
    return rttMs > 0 ? rttMs : undefined;
  }

  get bytesSent(): number {
    return this.#closed ? 0 : this.#pc.bytesSent();
  }

  get bytesReceived(): number {
    return this.#closed ? 0 : this.#pc.bytesReceived();
  }

  /** Closes every track, channel and socket; no callback comes afterwards. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#awaitedDescription = undefined;
    this.#pc.close();
  }

  #assertOpen(): void {
    if (this.#closed) throw new OffhookError('OFFHOOK_CLOSED', 'the peer connection is closed');
  }
}

function transportError(what: string, cause: unknown): OffhookError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new OffhookError('OFFHOOK_TRANSPORT', `${what}: ${reason}`, { cause });
}

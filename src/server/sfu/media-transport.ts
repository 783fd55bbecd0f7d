import {
  candidateLikelihood,
  type DataChannel,
  type IceCandidate,
  PeerConnection,
} from '../../transport/index.js';
import { parseDescription, readSessionParameters, type SessionParameters } from './session-parameters.js';

/** Where the media of every peer connection of the server goes through. */
export interface MediaEndpoint {
  /** UDP port that all peer connections share. */
  port: number;
  bindAddress: string | undefined;
}

const mediaMid = 'media';
const dataMid = '0';

/**
 * ICE, DTLS, SRTP and SCTP of one peer connection, without its media sections: the addon sees one section that
 * carries every RTP packet in both directions. Codecs, sections and their renegotiation are the server's own, so that
 * they need no round through the addon, and packets reach us whatever the SSRCs that were or were not signalled.
 */
export class MediaTransport {
  readonly local: SessionParameters;
  #connection: PeerConnection;
  #track: ReturnType<PeerConnection['addAudioTrack']>;
  #hasRemote = false;
  onPacket: (packet: Buffer) => void = () => {};
  onDataChannel: (channel: DataChannel) => void = () => {};
  onConnected: () => void = () => {};
  onFailed: () => void = () => {};

  private constructor(
    connection: PeerConnection,
    track: ReturnType<PeerConnection['addAudioTrack']>,
    local: SessionParameters,
  ) {
    this.#connection = connection;
    this.#track = track;
    this.local = local;
    track.onPacket = (packet) => this.onPacket(packet);
    connection.onDataChannel = (channel) => this.onDataChannel(channel);
    connection.onStateChange = (state) => {
      if (state === 'connected') this.onConnected();
      else if (state === 'failed' || state === 'closed') this.onFailed();
    };
  }

  /** Makes the side that offers. `channels` are opened as soon as the other side is there. */
  static async offering(
    name: string,
    endpoint: MediaEndpoint,
    channels: readonly { label: string; ordered: boolean; maxRetransmits?: number }[],
  ): Promise<{ transport: MediaTransport; channels: DataChannel[] }> {
    const connection = connect(name, endpoint);
    const track = addMediaTrack(connection);
    const opened = channels.map(({ label, ...options }) => connection.createDataChannel(label, options));
    const { sdp } = await connection.createOffer();
    const transport = new MediaTransport(connection, track, readSessionParameters(parseDescription(sdp)));
    return { transport, channels: opened };
  }

  /** Makes the side that answers `remote`. */
  static async answering(
    name: string,
    endpoint: MediaEndpoint,
    remote: SessionParameters,
  ): Promise<MediaTransport> {
    const connection = connect(name, endpoint);
    const track = addMediaTrack(connection);
    connection.setRemoteDescription({ type: 'offer', sdp: describe(remote) });
    const { sdp } = await connection.createAnswer();
    const transport = new MediaTransport(connection, track, readSessionParameters(parseDescription(sdp)));
    transport.#hasRemote = true;
    transport.#addCandidates(remote.candidates);
    return transport;
  }

  /** Takes the first answer; those of later negotiations change nothing here. */
  accept(remote: SessionParameters): void {
    if (this.#hasRemote) return;
    this.#hasRemote = true;
    this.#connection.setRemoteDescription({ type: 'answer', sdp: describe(remote) });
    this.#addCandidates(remote.candidates);
  }

  addIceCandidate(candidate: IceCandidate): void {
    this.#connection.addIceCandidate({ ...candidate, sdpMid: mediaMid });
  }

  get isConnected(): boolean {
    return this.#connection.state === 'connected';
  }

  /** Sends one RTP or RTCP packet; false when the transport is not up. */
  send(packet: Buffer): boolean {
    return this.#track.send(packet);
  }

  close(): void {
    this.#connection.close();
  }

  #addCandidates(candidates: readonly string[]): void {
    const ordered = [...candidates].sort((a, b) => candidateLikelihood(b) - candidateLikelihood(a));
    for (const candidate of ordered) this.addIceCandidate({ candidate });
  }
}

function connect(name: string, { port, bindAddress }: MediaEndpoint): PeerConnection {
  return new PeerConnection({
    name,
    udpMux: true,
    portRange: { begin: port, end: port },
    ...(bindAddress === undefined ? {} : { bindAddress }),
  });
}

function addMediaTrack(connection: PeerConnection): ReturnType<PeerConnection['addAudioTrack']> {
  return connection.addAudioTrack({
    mid: mediaMid,
    direction: 'sendrecv',
    ssrc: 1,
    cname: mediaMid,
    streamId: mediaMid,
    trackId: mediaMid,
    payloadTypes: { opus: 111 },
    opusParameters: 'minptime=10',
  });
}

/** The description of the other side as the addon is to see it. */
function describe(remote: SessionParameters): string {
  const { ufrag, pwd, fingerprint, setup, iceLite, sctp } = remote;
  const lines = [
    'v=0',
    'o=- 1 1 IN IP4 127.0.0.1',
    's=-',
    't=0 0',
    ...(iceLite ? ['a=ice-lite'] : []),
    `a=group:BUNDLE ${mediaMid}${sctp ? ` ${dataMid}` : ''}`,
    `a=ice-ufrag:${ufrag}`,
    `a=ice-pwd:${pwd}`,
    `a=fingerprint:${fingerprint}`,
    `a=setup:${setup}`,
    'm=audio 9 UDP/TLS/RTP/SAVPF 111',
    'c=IN IP4 0.0.0.0',
    `a=mid:${mediaMid}`,
    'a=sendrecv',
    'a=rtcp-mux',
    'a=rtpmap:111 opus/48000/2',
  ];
  if (sctp) {
    lines.push(
      'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
      'c=IN IP4 0.0.0.0',
      `a=mid:${dataMid}`,
      `a=sctp-port:${sctp.port}`,
      `a=max-message-size:${sctp.maxMessageSize}`,
    );
  }
  return `${lines.join('\r\n')}\r\n`;
}

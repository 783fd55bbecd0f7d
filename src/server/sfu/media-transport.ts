import { randomBytes } from 'node:crypto';
import {
  type Certificate,
  candidateLikelihood,
  type DataChannel,
  type IceCandidate,
  type MediaTrack,
  PeerConnection,
} from '../../transport/index.js';
import type { SessionParameters } from './session-parameters.js';

/** Where the media of every peer connection of the server goes through, and what it is secured with. */
export interface MediaEndpoint {
  /** UDP port that all peer connections share. */
  port: number;
  bindAddress: string | undefined;
  certificate: Certificate;
}

interface MediaTransportOptions {
  /** For logs only. */
  name: string;
  endpoint: MediaEndpoint;
  /** Whether the server made the offer: it then controls ICE (RFC 8445, section 6.1.1), unless it is a lite agent. */
  offerer: boolean;
  /** Answers the client's checks and begins none. */
  iceLite: boolean;
  /** Data channels to open. */
  channels?: readonly { label: string; ordered: boolean; maxRetransmits?: number }[];
}

const mediaMid = 'media';
const dataMid = 'data';

/**
 * ICE, DTLS, SRTP and SCTP of one peer connection, without its media sections: the addon sees one section that
 * carries every RTP packet in both directions. Codecs, sections and their renegotiation are the server's own, so that
 * they need no round through the addon, and packets reach us whatever the SSRCs that were or were not signalled.
 *
 * Its own ICE checks leave as soon as a candidate of the client is known, which connects browsers soonest. A client
 * that asked for a lite agent gets one: it is told no candidates, so the client is connected first, always. That is
 * for clients which lose a first flight of DTLS that comes before they are connected.
 *
 * The addon is the answerer always, also where the server made the offer. Its ICE agent then exists only once the
 * other side's fingerprint is known; with an agent that is there earlier, a fast client's DTLS handshake can
 * overtake the fingerprint that it is to be checked against, and fails.
 */
export class MediaTransport {
  readonly #options: MediaTransportOptions;
  readonly #credentials = {
    iceUfrag: randomBytes(6).toString('base64'),
    icePwd: randomBytes(18).toString('base64'),
  };
  #connection: PeerConnection | undefined;
  #track: MediaTrack | undefined;
  #earlyCandidates: string[] = [];
  #closed = false;
  onPacket: (packet: Buffer) => void = () => {};
  /** A channel of either side's making. */
  onDataChannel: (channel: DataChannel) => void = () => {};
  onConnected: () => void = () => {};
  onFailed: () => void = () => {};

  constructor(options: MediaTransportOptions) {
    this.#options = options;
  }

  /** What the other side is told; known before anything is connected. */
  get local(): { ufrag: string; pwd: string; fingerprint: string } {
    const { iceUfrag: ufrag, icePwd: pwd } = this.#credentials;
    return { ufrag, pwd, fingerprint: this.#options.endpoint.certificate.fingerprint };
  }

  get isConnected(): boolean {
    return this.#connection?.state === 'connected';
  }

  /**
   * Connects to the other side. Later calls change nothing: ICE restarts are the caller's to refuse.
   *
   * @throws OffhookError `OFFHOOK_TRANSPORT` when the parameters are refused.
   */
  start(remote: SessionParameters): void {
    if (this.#connection || this.#closed) return;
    const { name, endpoint, offerer, iceLite, channels = [] } = this.#options;
    const { port, bindAddress, certificate } = endpoint;
    const connection = new PeerConnection({
      name,
      udpMux: true,
      portRange: { begin: port, end: port },
      certificate,
      ...(bindAddress === undefined ? {} : { bindAddress }),
    });
    this.#connection = connection;
    connection.onDataChannel = (channel) => this.onDataChannel(channel);
    connection.onStateChange = (state) => {
      if (state === 'connected') this.onConnected();
      else if (state === 'failed' || state === 'closed') this.onFailed();
    };
    this.#track = addMediaTrack(connection);
    this.#track.onPacket = (packet) => this.onPacket(packet);
    for (const { label, ...options } of channels) {
      this.onDataChannel(connection.createDataChannel(label, options));
    }
    connection.setRemoteDescription({ type: 'offer', sdp: describe(remote, offerer && !iceLite) });
    connection.createAnswer(this.#credentials).catch(() => this.onFailed());
    const likeliestFirst = [...remote.candidates, ...this.#earlyCandidates.splice(0)].sort(
      (a, b) => candidateLikelihood(b) - candidateLikelihood(a),
    );
    for (const candidate of likeliestFirst) this.addIceCandidate({ candidate });
  }

  /** @throws OffhookError `OFFHOOK_TRANSPORT` when it is malformed. */
  addIceCandidate({ candidate }: IceCandidate): void {
    if (this.#options.iceLite) return;
    if (this.#connection) this.#connection.addIceCandidate({ candidate, sdpMid: mediaMid });
    else this.#earlyCandidates.push(candidate);
  }

  /** Sends one RTP or RTCP packet; false when the transport is not up. */
  send(packet: Buffer): boolean {
    return this.#track?.send(packet) ?? false;
  }

  close(): void {
    this.#closed = true;
    this.#connection?.close();
  }
}

function addMediaTrack(connection: PeerConnection): MediaTrack {
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

/** The other side as the addon is to see it: one that offers. */
function describe(remote: SessionParameters, control: boolean): string {
  const { ufrag, pwd, fingerprint, setup, sctp } = remote;
  const lines = [
    'v=0',
    'o=- 1 1 IN IP4 127.0.0.1',
    's=-',
    't=0 0',
    // The addon's agent takes the controlling role against a lite one, and does nothing else differently.
    ...(control ? ['a=ice-lite'] : []),
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

import {
  type Certificate,
  type DataChannel,
  type Description,
  dataSection,
  type IceCandidate,
  PeerConnection,
  type UdpPort,
} from '../../transport/index.js';
import type { SessionParameters } from './session-parameters.js';

/** Where the media of every peer connection of the server goes through, and what it is secured with. */
export interface MediaEndpoint {
  /** UDP port that all peer connections share. */
  port: number;
  udp: UdpPort;
  bindAddress: string | undefined;
  certificate: Certificate;
}

interface MediaTransportOptions {
  /** For logs only. */
  name: string;
  endpoint: MediaEndpoint;
  /** Whether the server makes the offers: it then controls ICE (RFC 8445, section 6.1.1), unless it is a lite agent. */
  offerer: boolean;
  /** Answers the client's checks and begins none. */
  iceLite: boolean;
  /** Data channels to open. */
  channels?: readonly { label: string; ordered: boolean; maxRetransmits?: number }[];
}

/**
 * ICE, DTLS, SRTP and SCTP of one peer connection, without its media sections: codecs, sections and their renegotiation
 * are the server's own, and packets reach us whatever the SSRCs that were or were not signalled.
 */
export class MediaTransport {
  readonly #options: MediaTransportOptions;
  readonly #connection: PeerConnection;
  onPacket: (packet: Buffer) => void = () => {};
  /** A channel of either side's making. */
  onDataChannel: (channel: DataChannel) => void = () => {};
  onConnected: () => void = () => {};
  onFailed: () => void = () => {};

  constructor(options: MediaTransportOptions) {
    this.#options = options;
    const { name, endpoint, iceLite } = options;
    this.#connection = new PeerConnection({
      name,
      iceLite,
      shared: { port: endpoint.udp, candidates: [] },
      certificate: endpoint.certificate,
    });
    this.#connection.onDataChannel = (channel) => this.onDataChannel(channel);
    this.#connection.onPacket = (packet) => this.onPacket(packet);
    this.#connection.onStateChange = (state) => {
      if (state === 'connected') this.onConnected();
      else if (state === 'failed') this.onFailed();
    };
  }

  /** What the other side is told; an offerer's is asked for once for each offer. */
  get local(): { ufrag: string; pwd: string; fingerprint: string } {
    if (this.#options.offerer) this.#connection.offer([dataSection('0')]);
    const { ufrag, pwd, fingerprints } = this.#connection.localParameters!;
    return { ufrag, pwd, fingerprint: fingerprints[0]! };
  }

  get isConnected(): boolean {
    return this.#connection.state === 'connected';
  }

  /**
   * Connects to the other side, or agrees on what it says anew: new ICE credentials restart ICE.
   *
   * @throws OffhookError `OFFHOOK_TRANSPORT` when the parameters are refused.
   */
  start(remote: SessionParameters): void {
    const isFirst = this.#connection.state === 'new';
    if (this.#options.offerer) this.#connection.acceptAnswer(describe(remote));
    else {
      this.#connection.acceptOffer(describe(remote));
      this.#connection.answer([dataSection('0')]);
    }
    if (!isFirst) return;
    for (const { label, ...options } of this.#options.channels ?? []) {
      this.onDataChannel(this.#connection.createDataChannel(label, options));
    }
  }

  /** @throws OffhookError `OFFHOOK_TRANSPORT` when it is malformed. */
  addIceCandidate(candidate: IceCandidate): void {
    this.#connection.addIceCandidate(candidate);
  }

  /** Sends one RTP or RTCP packet; false when the transport is not up. */
  send(packet: Buffer): boolean {
    return this.#connection.sendPacket(packet);
  }

  close(): void {
    this.#connection.close();
  }
}

function describe({ ufrag, pwd, fingerprint, setup, sctp, candidates }: SessionParameters): Description {
  return {
    transport: {
      ufrag,
      pwd,
      iceLite: false,
      fingerprints: [fingerprint],
      setup: setup === 'active' || setup === 'passive' ? setup : 'actpass',
      candidates,
    },
    sections: sctp ? [{ ...dataSection('0'), maxMessageBytes: sctp.maxMessageSize }] : [],
  };
}

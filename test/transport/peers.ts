import {
  type DataChannel,
  dataSection,
  type IceCandidate,
  isSending,
  type MediaSection,
  type MediaTrack,
  PeerConnection,
  type PeerConnectionOptions,
} from '../../src/transport/index.js';

/** One side of a connection with its sections, as its user would keep them. */
export class Peer {
  readonly pc: PeerConnection;
  sections: MediaSection[] = [];
  onTrack: (track: MediaTrack, section: MediaSection) => void = () => {};
  #received = new Map<string, MediaTrack>();

  constructor(name: string, options: Partial<PeerConnectionOptions> = {}) {
    this.pc = new PeerConnection({ name, bindAddress: '127.0.0.1', ...options });
  }

  /** A data channel, and the section for it. */
  createDataChannel(label: string, options: { ordered: boolean; maxRetransmits?: number }): DataChannel {
    if (!this.sections.some(({ kind }) => kind === 'application')) {
      this.sections.push(dataSection(String(this.sections.length)));
    }
    return this.pc.createDataChannel(label, options);
  }

  addAudio(ssrc: number): MediaTrack {
    const mid = String(this.sections.length);
    this.sections.push(audioSection(mid, ssrc));
    return this.pc.addTrack({ mid, kind: 'audio', ssrcs: [ssrc] });
  }

  remove({ mid }: MediaTrack): void {
    this.sections = this.sections.map((section) =>
      section.mid === mid ? { ...section, direction: 'inactive' } : section,
    );
  }

  offer(options?: { iceRestart?: boolean }): string {
    return this.pc.offer(this.sections, options);
  }

  /** Takes everything that is offered. */
  answer(sdp: string): string {
    const { sections } = this.pc.acceptOffer(sdp);
    const answer = this.pc.answer(
      sections.map((section) => ({
        ...section,
        direction: isSending(section.direction) ? 'recvonly' : section.direction,
      })),
    );
    for (const section of sections) {
      const { mid, kind, sources = [] } = section;
      if (kind === 'application' || !isSending(section.direction) || this.#received.has(mid)) continue;
      const track = this.pc.addTrack({ mid, kind, ssrcs: sources.map(({ ssrc }) => ssrc) });
      this.#received.set(mid, track);
      this.onTrack(track, section);
    }
    return answer;
  }
}

export function audioSection(mid: string, ssrc: number): MediaSection {
  const opus = {
    payloadType: 111,
    name: 'opus',
    clockRate: 48_000,
    channels: 2,
    parameters: 'minptime=10;useinbandfec=1',
    feedback: [],
  };
  return {
    kind: 'audio',
    mid,
    direction: 'sendonly',
    codecs: [{ ...opus, payloadType: 63, name: 'red', parameters: '111/111' }, opus],
    extensions: [{ id: 1, uri: 'urn:ietf:params:rtp-hdrext:ssrc-audio-level' }],
    msid: { streamId: 'stream', trackId: `track-${mid}` },
    sources: [{ ssrc, cname: 'test' }],
  };
}

export interface Peers {
  a: Peer;
  b: Peer;
  /** Offers from `a`, answers from `b`. */
  negotiate(offer?: { iceRestart?: boolean }): void;
  close(): void;
}

/** Two peer connections on the loopback interface that exchange their candidates. */
export function makePeers(
  options: Partial<PeerConnectionOptions> = {},
  bOptions: Partial<PeerConnectionOptions> = options,
): Peers {
  const a = new Peer('a', options);
  const b = new Peer('b', bOptions);
  const trickle = (to: Peer) => (candidate: IceCandidate) => to.pc.addIceCandidate(candidate);
  a.pc.onLocalCandidate = trickle(b);
  b.pc.onLocalCandidate = trickle(a);
  return {
    a,
    b,
    negotiate(offer) {
      a.pc.acceptAnswer(b.answer(a.offer(offer)));
    },
    close() {
      a.pc.close();
      b.pc.close();
    },
  };
}

/** Resolves when `event` has been called; the listener that was there before is called too. */
export function once<Target extends object>(
  target: Target,
  event: keyof Target & string,
): Promise<unknown[]> {
  const listeners = target as Record<string, (...args: unknown[]) => void>;
  return new Promise((resolve) => {
    const before = listeners[event];
    listeners[event] = (...args) => {
      before?.(...args);
      resolve(args);
    };
  });
}

/** Resolves when the connection is up. */
export function connected({ pc }: Peer): Promise<void> {
  return new Promise<void>((resolve) => {
    if (pc.state === 'connected') resolve();
    const before = pc.onStateChange;
    pc.onStateChange = (state) => {
      before(state);
      if (state === 'connected') resolve();
    };
  });
}

export async function bothConnected({ a, b }: Peers): Promise<void> {
  await Promise.all([connected(a), connected(b)]);
}

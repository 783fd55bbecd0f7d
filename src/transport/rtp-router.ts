import { limits } from '../limits.js';
import { isRtcp } from '../rtp/index.js';
import { extensionUris } from './media-section.js';

const rtpHeaderBytes = 12;
const oneByteProfile = 0xbede;
const twoByteProfile = 0x1000;

export interface MediaTrackOptions {
  mid: string;
  kind: 'audio' | 'video';
  /** SSRCs whose packets are this track's, and on which reports are: of the other side, or ours where we send. */
  ssrcs?: readonly number[];
}

/** The packets of one media section: RTP and RTCP in and out, already decrypted or not yet encrypted. */
export class MediaTrack {
  readonly mid: string;
  readonly kind: 'audio' | 'video';
  #router: RtpRouter;
  #send: (packet: Buffer) => boolean;
  #closed = false;
  /** An RTP or RTCP packet as it came, for the duration of the call. Runs once for every packet. */
  onPacket: (packet: Buffer) => void = () => {};

  constructor({ mid, kind }: MediaTrackOptions, router: RtpRouter, send: (packet: Buffer) => boolean) {
    this.mid = mid;
    this.kind = kind;
    this.#router = router;
    this.#send = send;
  }

  get isClosed(): boolean {
    return this.#closed;
  }

  /** Takes the packets of these SSRCs too. */
  listenTo(ssrcs: readonly number[]): void {
    if (!this.#closed) this.#router.assign(this, ssrcs);
  }

  /** Sends one RTP or RTCP packet; false where there is no way yet, and it is dropped. Runs once for every packet. */
  send(packet: Buffer): boolean {
    return !this.#closed && this.#send(packet);
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#router.remove(this);
  }
}

/** Finds the track that a packet is for: by its SSRC, or by its MID where the SSRC was not signalled (RFC 9143, 9.2). */
export class RtpRouter {
  #bySsrc = new Map<number, MediaTrack>();
  #byMid = new Map<string, MediaTrack>();
  #learned = new Set<number>();
  #midExtensionId: number | undefined;
  #onUnknown: (packet: Buffer) => void;
  /** The tracks that a compound packet has gone to. */
  #reached: MediaTrack[] = [];

  /** @param onUnknown takes what is no track's */
  constructor(onUnknown: (packet: Buffer) => void) {
    this.#onUnknown = onUnknown;
  }

  /** The header extensions that were agreed on; with BUNDLE all sections have the same. */
  setExtensions(extensions: readonly { id: number; uri: string }[]): void {
    this.#midExtensionId =
      extensions.find(({ uri }) => uri === extensionUris.mid)?.id ?? this.#midExtensionId;
  }

  add(track: MediaTrack, ssrcs: readonly number[]): void {
    this.#byMid.set(track.mid, track);
    this.assign(track, ssrcs);
  }

  assign(track: MediaTrack, ssrcs: readonly number[]): void {
    for (const ssrc of ssrcs) {
      this.#bySsrc.set(ssrc, track);
      this.#learned.delete(ssrc);
    }
  }

  remove(track: MediaTrack): void {
    if (this.#byMid.get(track.mid) === track) this.#byMid.delete(track.mid);
    for (const [ssrc, owner] of this.#bySsrc) {
      if (owner !== track) continue;
      this.#bySsrc.delete(ssrc);
      this.#learned.delete(ssrc);
    }
  }

  /** Runs once for every packet. */
  receive(packet: Buffer): void {
    if (isRtcp(packet)) {
      this.#receiveRtcp(packet);
      return;
    }
    if (packet.length < rtpHeaderBytes) return;
    const ssrc = packet.readUInt32BE(8);
    const track = this.#bySsrc.get(ssrc) ?? this.#learn(packet, ssrc);
    if (track) track.onPacket(packet);
    else this.#onUnknown(packet);
  }

  #learn(packet: Buffer, ssrc: number): MediaTrack | undefined {
    if (this.#midExtensionId === undefined || this.#byMid.size === 0) return undefined;
    const mid = headerExtension(packet, this.#midExtensionId)?.toString('latin1');
    const track = mid === undefined ? undefined : this.#byMid.get(mid);
    if (!track) return undefined;
    if (this.#learned.size >= limits.learnedSsrcs.value) {
      const [oldest] = this.#learned;
      this.#learned.delete(oldest!);
      this.#bySsrc.delete(oldest!);
    }
    this.#learned.add(ssrc);
    this.#bySsrc.set(ssrc, track);
    return track;
  }

  /** A compound packet goes once to each track that it mentions: as its sender, as what it reports or acts on. */
  #receiveRtcp(packet: Buffer): void {
    const reached = this.#reached;
    for (let at = 0; at + 8 <= packet.length; ) {
      const count = packet[at]! & 0x1f;
      const type = packet[at + 1]!;
      const end = Math.min(packet.length, at + 4 * (packet.readUInt16BE(at + 2) + 1));
      this.#mention(packet.readUInt32BE(at + 4));
      const isReport = type === 200 || type === 201;
      if (isReport) {
        const first = at + (type === 200 ? 28 : 8);
        for (let block = 0; block < count && first + 24 * block + 4 <= end; block++) {
          this.#mention(packet.readUInt32BE(first + 24 * block));
        }
      } else if ((type === 205 || type === 206) && at + 12 <= end) {
        this.#mention(packet.readUInt32BE(at + 8));
      }
      at = end;
    }
    const tracks = reached.splice(0);
    for (const track of tracks) track.onPacket(packet);
    if (tracks.length === 0) this.#onUnknown(packet);
  }

  #mention(ssrc: number): void {
    const track = this.#bySsrc.get(ssrc);
    if (track && !this.#reached.includes(track)) this.#reached.push(track);
  }
}

/** A header extension of an RTP packet (RFC 8285), of either form; undefined when it is absent or malformed. */
function headerExtension(packet: Buffer, wanted: number): Buffer | undefined {
  if ((packet[0]! & 0x10) === 0) return undefined;
  const start = rtpHeaderBytes + 4 * (packet[0]! & 0x0f);
  if (start + 4 > packet.length) return undefined;
  const profile = packet.readUInt16BE(start);
  const end = Math.min(packet.length, start + 4 + 4 * packet.readUInt16BE(start + 2));
  const isOneByte = profile === oneByteProfile;
  if (!isOneByte && (profile & 0xfff0) !== twoByteProfile) return undefined;
  for (let at = start + 4; at < end; ) {
    if (packet[at] === 0) {
      at++;
      continue;
    }
    const id = isOneByte ? packet[at]! >> 4 : packet[at]!;
    if (isOneByte && id === 15) return undefined;
    const bytes = isOneByte ? (packet[at]! & 0x0f) + 1 : (packet[at + 1] ?? 0);
    const value = at + (isOneByte ? 1 : 2);
    if (value + bytes > end) return undefined;
    if (id === wanted) return packet.subarray(value, value + bytes);
    at = value + bytes;
  }
  return undefined;
}

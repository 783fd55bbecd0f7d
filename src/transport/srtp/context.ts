import { OffhookError } from '../../errors/index.js';
import { limits } from '../../limits.js';
import { AeadGcm } from './aead-gcm.js';
import { CmHmac } from './cm-hmac.js';
import { deriveSessionKeys } from './key-derivation.js';
import { rtcpHeaderBytes, rtpHeaderBytes, uint32At } from './packet-layout.js';
import { type SrtpMasterKey, type SrtpProfile, srtpProfiles } from './profile.js';
import { ReceivedStream, ReceivedStreams } from './received-streams.js';
import { encryptedBit, type SrtpTransform } from './transform.js';

const maxIndex = 2 ** 48 - 1;
const maxRtcpIndex = 2 ** 31 - 1;

/** Packets of the peer that were dropped, by reason. */
export interface SrtpDropped {
  /** Too short, or not of RTP's layout. */
  malformed: number;
  /** The tag does not fit: forged, damaged, or encrypted with other keys. */
  unauthentic: number;
  /** Received before, or too old to tell. */
  replayed: number;
}

/**
 * Protects and unprotects the RTP and RTCP packets of one transport (RFC 3711, RFC 7714). The keys come from DTLS
 * (RFC 5764) or from SDP (RFC 4568). Master key identifiers and key derivation rates are not supported.
 */
export class SrtpContext {
  readonly profile: SrtpProfile;
  readonly dropped: SrtpDropped = { malformed: 0, unauthentic: 0, replayed: 0 };
  readonly #outgoing: SrtpTransform;
  readonly #incoming: SrtpTransform;
  /**
   * The highest index sent, by SSRC. It is never forgotten: an SSRC that starts again would encrypt other data with
   * the same key stream.
   */
  readonly #sentIndices = new Map<number, number>();
  readonly #received = new ReceivedStreams(limits.srtpStreams.value);
  #sentRtcpIndex = 0;

  /** Throws `OFFHOOK_INVALID_REQUEST` when a key or a salt is not as long as the profile asks. */
  constructor(profile: SrtpProfile, local: SrtpMasterKey, remote: SrtpMasterKey) {
    this.profile = profile;
    this.#outgoing = createTransform(profile, local);
    this.#incoming = createTransform(profile, remote);
  }

  /** SSRCs of the peer that there is a replay window for. */
  get receivedStreamCount(): number {
    return this.#received.size;
  }

  /**
   * The packet as it is sent, in memory of its own. Runs once for each packet sent. An SSRC's sequence numbers may come
   * out of order; one that comes twice must come with the same bytes, because it is encrypted with the same key stream.
   * Throws `OFFHOOK_INVALID_REQUEST` for what is not an RTP packet.
   */
  protectRtp(packet: Buffer): Buffer {
    const headerBytes = rtpHeaderBytes(packet, packet.length);
    if (headerBytes < 0)
      throw new OffhookError('OFFHOOK_INVALID_REQUEST', `${packet.length} bytes are not an RTP packet`);
    const ssrc = uint32At(packet, 8);
    const sequenceNumber = (packet[2]! << 8) | packet[3]!;
    const highest = this.#sentIndices.get(ssrc);
    const index = highest === undefined ? sequenceNumber : estimateIndex(highest, sequenceNumber);
    if (index > maxIndex) throw exhausted();
    if (highest === undefined || index > highest) this.#sentIndices.set(ssrc, index);
    return this.#outgoing.protectRtp(packet, headerBytes, ssrc, index);
  }

  /**
   * The RTP packet in `packet`, decrypted in place, or undefined when it is dropped. Runs once for each packet
   * received.
   */
  unprotectRtp(packet: Buffer): Buffer | undefined {
    const headerBytes = rtpHeaderBytes(packet, packet.length);
    if (headerBytes < 0) return this.#drop('malformed');
    const ssrc = uint32At(packet, 8);
    const sequenceNumber = (packet[2]! << 8) | packet[3]!;
    const known = this.#received.get(ssrc);
    const highest = known?.rtp.highest ?? -1;
    let index = highest < 0 ? sequenceNumber : estimateIndex(highest, sequenceNumber);
    if (index > maxIndex) return this.#drop('replayed');
    if (known !== undefined && !known.rtp.isFresh(index)) return this.#drop('replayed');
    let end = this.#incoming.unprotectRtp(packet, headerBytes, ssrc, index);
    if (end < 0 && highest < 0 && sequenceNumber < 0x8000) {
      // The first packets of a stream may be lost, and it may have wrapped around since: it would never be heard.
      index += 0x10000;
      end = this.#incoming.unprotectRtp(packet, headerBytes, ssrc, index);
    }
    if (end < 0) return this.#drop('unauthentic');
    const stream = known ?? new ReceivedStream();
    stream.rtp.add(index);
    this.#received.use(ssrc, stream);
    return packet.subarray(0, end);
  }

  /**
   * The compound RTCP packet as it is sent, in memory of its own. Throws `OFFHOOK_INVALID_REQUEST` for what is not an
   * RTCP packet.
   */
  protectRtcp(packet: Buffer): Buffer {
    if (packet.length < rtcpHeaderBytes || packet[0]! >> 6 !== 2)
      throw new OffhookError('OFFHOOK_INVALID_REQUEST', `${packet.length} bytes are not an RTCP packet`);
    if (this.#sentRtcpIndex > maxRtcpIndex) throw exhausted();
    // One counter for all SSRCs: for each of them it rises, as section 3.2.1 asks.
    return this.#outgoing.protectRtcp(packet, uint32At(packet, 4), this.#sentRtcpIndex++);
  }

  /** The compound RTCP packet in `packet`, decrypted in place, or undefined when it is dropped. */
  unprotectRtcp(packet: Buffer): Buffer | undefined {
    const indexWord = this.#incoming.rtcpIndexWord(packet);
    if (indexWord === undefined || packet[0]! >> 6 !== 2) return this.#drop('malformed');
    const ssrc = uint32At(packet, 4);
    const index = (indexWord & ~encryptedBit) >>> 0;
    const known = this.#received.get(ssrc);
    if (known !== undefined && !known.rtcp.isFresh(index)) return this.#drop('replayed');
    const end = this.#incoming.unprotectRtcp(packet, ssrc, indexWord);
    if (end < 0) return this.#drop('unauthentic');
    const stream = known ?? new ReceivedStream();
    stream.rtcp.add(index);
    this.#received.use(ssrc, stream);
    return packet.subarray(0, end);
  }

  #drop(reason: keyof SrtpDropped): undefined {
    this.dropped[reason]++;
    return undefined;
  }
}

function createTransform(profile: SrtpProfile, master: SrtpMasterKey): SrtpTransform {
  const parameters = srtpProfiles[profile];
  const { keyBytes, saltBytes } = parameters;
  if (master.key.length !== keyBytes || master.salt.length !== saltBytes)
    throw new OffhookError(
      'OFFHOOK_INVALID_REQUEST',
      `${profile} takes a key of ${keyBytes} and a salt of ${saltBytes} bytes, not ${master.key.length} and ${master.salt.length}`,
    );
  const keys = deriveSessionKeys(master);
  return profile === 'AEAD_AES_128_GCM' ? new AeadGcm(keys) : new CmHmac(keys, parameters);
}

function exhausted(): OffhookError {
  return new OffhookError('OFFHOOK_TRANSPORT', 'all packet indices of these SRTP keys are used', {
    advice: 'Connect again: new keys are negotiated then.',
  });
}

/**
 * The index of an RTP packet, 65536 times the roll-over counter plus the sequence number, estimated from the highest
 * index so far (RFC 3711 section 3.3.1 and appendix A): the one closest to it. Never below 0: a stream whose counter is
 * still 0 has wrapped around never.
 */
function estimateIndex(highest: number, sequenceNumber: number): number {
  const rollOver = Math.floor(highest / 0x10000);
  const difference = sequenceNumber - (highest % 0x10000);
  if (difference > 0x8000 && rollOver > 0) return (rollOver - 1) * 0x10000 + sequenceNumber;
  if (difference < -0x8000) return (rollOver + 1) * 0x10000 + sequenceNumber;
  return rollOver * 0x10000 + sequenceNumber;
}

import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import { type SrtpMasterKey, type SrtpProfile, srtpProfiles } from '../../transport/index.js';
import { codecOf, formatOf, type PhoneCodec, phoneCodecs, telephoneEventName } from './codecs.js';
import {
  type Direction,
  isUnicast,
  type LocalMedia,
  parseSdp,
  type RefusedMedia,
  type SdpCrypto,
  type SdpFormat,
  type SdpMedia,
  writeSdp,
} from './sdp.js';

/** Whether media is encrypted: never, if the peer can, or always (LiveKit's SIPMediaEncryption). */
export type MediaEncryption = 'disable' | 'allow' | 'require';

/** Our side of a description. */
export interface LocalEnd {
  address: string;
  port: number;
  rtcpPort: number;
}

/** How media flows once offer and answer are exchanged. */
export interface NegotiatedMedia {
  remote: { address: string; port: number; rtcpPort: number; rtcpAddress: string };
  codec: PhoneCodec;
  /** The peer's number for the codec, in both directions. */
  payloadType: number;
  /** Of telephone events; undefined when the peer does not know them. */
  dtmfPayloadType: number | undefined;
  /** Of telephone events' timestamps. */
  dtmfClockRate: number;
  /** From our side. */
  direction: Direction;
  ptimeMs: number;
  rtcpMux: boolean;
  srtp: { profile: SrtpProfile; local: SrtpMasterKey; remote: SrtpMasterKey } | undefined;
}

export type Negotiated =
  | { ok: true; sdp: Buffer; media: NegotiatedMedia }
  /** A status and reason for the peer. */
  | { ok: false; status: number; reason: string };

const ptimeMs = 20;
const dtmfPayloadType = 101;
/** In the order of preference; GCM is known to few telephones. */
const profiles: readonly SrtpProfile[] = [
  'AES_CM_128_HMAC_SHA1_80',
  'AES_CM_128_HMAC_SHA1_32',
  'AEAD_AES_128_GCM',
];

const opposite: Record<Direction, Direction> = {
  sendrecv: 'sendrecv',
  sendonly: 'recvonly',
  recvonly: 'sendonly',
  inactive: 'inactive',
};

interface Choice {
  media: SdpMedia;
  codec: PhoneCodec;
  format: SdpFormat;
}

/**
 * One call's offers and answers (RFC 3264): what we offer, what we answer, and what was agreed. Pure: descriptions in,
 * descriptions out.
 */
export class Negotiation {
  readonly #local: LocalEnd;
  readonly #encryption: MediaEncryption;
  readonly #codecs: readonly PhoneCodec[];
  readonly #sessionId = String(randomBytes(4).readUInt32BE());
  readonly #localKeys = new Map<SrtpProfile, SrtpMasterKey>();
  #version = 1;
  /** The last answer or offer of ours, for a peer that asks for an offer in the middle of the call. */
  #agreed: NegotiatedMedia | undefined;

  constructor(local: LocalEnd, options: { encryption?: MediaEncryption; codecs?: readonly string[] } = {}) {
    this.#local = local;
    this.#encryption = options.encryption ?? 'disable';
    const names = options.codecs?.map((name) => name.toUpperCase());
    this.#codecs = names ? phoneCodecs.filter(({ name }) => names.includes(name)) : phoneCodecs;
  }

  /** Answers an offer; a later one in the same call too. */
  answer(offerBytes: Buffer): Negotiated {
    const offer = parseSdp(offerBytes.toString('utf8'));
    if (!offer) return { ok: false, status: 400, reason: 'Malformed session description' };
    const choice = this.#choose(offer.media);
    if (!choice) return { ok: false, status: 488, reason: 'No codec in common' };
    const { media } = choice;
    const key = this.#answerKey(media);
    if (key === 'refused') return { ok: false, status: 488, reason: 'No media encryption in common' };
    const address = media.address;
    if (address === undefined || isIP(address) === 0 || (media.port !== 0 && !isUsable(media, address))) {
      return { ok: false, status: 488, reason: 'No usable media address' };
    }
    const agreed = this.#agree(choice, address, key?.srtp);
    const sections = offer.media.map((section): LocalMedia | RefusedMedia =>
      section === media ? this.#section(agreed, media.protocol, key?.crypto) : { refused: section },
    );
    this.#agreed = agreed;
    return { ok: true, sdp: this.#write(sections), media: agreed };
  }

  /** Offers every codec we have, or what was agreed once something was. */
  offer(direction: Direction = 'sendrecv'): Buffer {
    const secure = this.#encryption !== 'disable';
    const crypto = secure ? this.#offeredCrypto() : undefined;
    const agreed = this.#agreed;
    const formats = agreed
      ? formatsOf(agreed)
      : [...this.#codecs.map(formatOf), dtmfFormat(8_000, dtmfPayloadType)];
    return this.#write([
      {
        ...this.#local,
        // An offer that both kinds of peer may take is RTP/AVP with keys beside it, as telephones have it.
        protocol: this.#encryption === 'require' ? 'RTP/SAVP' : 'RTP/AVP',
        formats,
        direction,
        ptimeMs,
        rtcpMux: false,
        ...(crypto ? { crypto } : {}),
      },
    ]);
  }

  /** Takes the answer to our offer. */
  accept(answerBytes: Buffer): Omit<Negotiated & { ok: true }, 'sdp'> | (Negotiated & { ok: false }) {
    const answer = parseSdp(answerBytes.toString('utf8'));
    const choice = answer && this.#choose(answer.media);
    const address = choice?.media.address;
    if (!choice || choice.media.port === 0 || address === undefined || !isUsable(choice.media, address)) {
      return { ok: false, status: 488, reason: 'The answer has no audio that we offered' };
    }
    const srtp = this.#acceptedKey(choice.media);
    if (!srtp && this.#encryption === 'require') {
      return { ok: false, status: 488, reason: 'The answer has no media encryption' };
    }
    const media = this.#agree(choice, address, srtp);
    this.#agreed = media;
    return { ok: true, media };
  }

  #choose(sections: readonly SdpMedia[]): Choice | undefined {
    for (const media of sections) {
      if (media.type !== 'audio' || !/^RTP\/S?AVPF?$/.test(media.protocol)) continue;
      // The first that we know: the order is the peer's preference.
      for (const format of media.formats) {
        const codec = codecOf(format);
        if (codec && this.#codecs.includes(codec)) return { media, codec, format };
      }
    }
    return undefined;
  }

  #agree({ media, codec, format }: Choice, address: string, srtp: NegotiatedMedia['srtp']): NegotiatedMedia {
    const events = media.formats.filter(({ name }) => name === telephoneEventName);
    const event = events.find(({ clockRate }) => clockRate === codec.clockRate) ?? events[0];
    const onHold = media.address === '0.0.0.0' || media.address === '::';
    return {
      remote: {
        address,
        port: media.port,
        rtcpPort: media.rtcp?.port ?? media.port + 1,
        rtcpAddress: media.rtcp?.address ?? address,
      },
      codec,
      payloadType: format.payloadType,
      dtmfPayloadType: event?.payloadType,
      dtmfClockRate: event?.clockRate ?? 8_000,
      // The old way to put a call on hold is to send to nowhere (RFC 3264, section 8.4).
      direction: onHold ? 'recvonly' : opposite[media.direction],
      ptimeMs,
      rtcpMux: media.rtcpMux,
      srtp,
    };
  }

  #section(agreed: NegotiatedMedia, protocol: string, crypto: SdpCrypto | undefined): LocalMedia {
    const { direction, rtcpMux } = agreed;
    return {
      ...this.#local,
      protocol,
      formats: formatsOf(agreed),
      direction,
      ptimeMs,
      rtcpMux,
      ...(crypto ? { crypto } : {}),
    };
  }

  #write(media: (LocalMedia | RefusedMedia)[]): Buffer {
    const version = this.#version++;
    return writeSdp({ sessionId: this.#sessionId, version, address: this.#local.address, media });
  }

  /** The key for an answer; undefined for media in the clear. */
  #answerKey(media: SdpMedia): { crypto: SdpCrypto; srtp: NegotiatedMedia['srtp'] } | undefined | 'refused' {
    const isSecure = media.protocol.startsWith('RTP/SAVP');
    const wanted = this.#encryption !== 'disable' || isSecure;
    for (const profile of wanted ? profiles : []) {
      const offered = media.crypto.find(({ suite }) => suite.toUpperCase() === profile);
      const remote = offered && masterKeyOf(offered, profile);
      if (!offered || !remote) continue;
      const local = this.#localKey(profile);
      return {
        crypto: { tag: offered.tag, suite: profile, keyParams: inlineKey(local), sessionParams: '' },
        srtp: { profile, local, remote },
      };
    }
    return isSecure || this.#encryption === 'require' ? 'refused' : undefined;
  }

  #acceptedKey(media: SdpMedia): NegotiatedMedia['srtp'] {
    const profile = profiles[0]!;
    const answered = media.crypto.find(({ suite }) => suite.toUpperCase() === profile);
    const remote = this.#encryption !== 'disable' && answered && masterKeyOf(answered, profile);
    return remote ? { profile, local: this.#localKey(profile), remote } : undefined;
  }

  #offeredCrypto(): SdpCrypto {
    const profile = profiles[0]!;
    return { tag: 1, suite: profile, keyParams: inlineKey(this.#localKey(profile)), sessionParams: '' };
  }

  /** One key for the whole call, so that a repeated offer does not make a new one. */
  #localKey(profile: SrtpProfile): SrtpMasterKey {
    const known = this.#localKeys.get(profile);
    if (known) return known;
    const { keyBytes, saltBytes } = srtpProfiles[profile];
    const made = { key: randomBytes(keyBytes), salt: randomBytes(saltBytes) };
    this.#localKeys.set(profile, made);
    return made;
  }
}

function formatsOf({
  codec,
  payloadType,
  dtmfPayloadType: dtmf,
  dtmfClockRate,
}: NegotiatedMedia): SdpFormat[] {
  const format = { ...formatOf(codec), payloadType };
  return dtmf === undefined ? [format] : [format, dtmfFormat(dtmfClockRate, dtmf)];
}

function dtmfFormat(clockRate: number, payloadType: number): SdpFormat {
  return { payloadType, name: 'telephone-event', clockRate, channels: 1, parameters: '0-16' };
}

/** Where media may be sent to: not to privileged ports, nor to more than one host. */
function isUsable({ port }: SdpMedia, address: string): boolean {
  const onHold = address === '0.0.0.0' || address === '::';
  return onHold || (isIP(address) !== 0 && isUnicast(address) && port >= 1_024);
}

function inlineKey({ key, salt }: SrtpMasterKey): string {
  return `inline:${Buffer.concat([key, salt]).toString('base64')}`;
}

/** The key of `a=crypto`; undefined when it is of another length, or asks for what SRTP here does not do. */
function masterKeyOf(
  { keyParams, sessionParams }: SdpCrypto,
  profile: SrtpProfile,
): SrtpMasterKey | undefined {
  const { keyBytes, saltBytes } = srtpProfiles[profile];
  // Unencrypted or unauthenticated media is not what the peer must be able to talk us into.
  if (/UNENCRYPTED|UNAUTHENTICATED|KDR|FEC/i.test(sessionParams)) return undefined;
  const [encoded, ...more] = keyParams.replace(/^inline:/i, '').split('|');
  if (more.some((part) => part.includes(':'))) return undefined;
  const bytes = Buffer.from(encoded!, 'base64');
  if (bytes.length !== keyBytes + saltBytes) return undefined;
  return { key: bytes.subarray(0, keyBytes), salt: bytes.subarray(keyBytes) };
}

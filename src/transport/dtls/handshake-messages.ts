import { limits } from '../../limits.js';
import { type SrtpProfile, srtpProfiles } from '../srtp/index.js';
import { groupById, groupId, type NamedGroup, namedGroups } from './key-agreement.js';
import {
  alert,
  cipherSuite,
  DtlsFault,
  dtls12,
  emptyRenegotiationInfoSuite,
  extensionType,
  negotiatedSrtpProfiles,
  signatureScheme,
  srtpProfileById,
} from './protocol.js';

export const randomBytesLength = 32;
const namedCurve = 3;
const ecdsaSign = 64;
const rsaSign = 1;
const uncompressed = 0;
const offeredSchemes = Object.values(signatureScheme);

/** Reads what a peer wrote. Whatever would go past the end is a DtlsFault. */
class Reader {
  #bytes: Buffer;
  #at = 0;
  #what: string;

  constructor(bytes: Buffer, what: string) {
    this.#bytes = bytes;
    this.#what = what;
  }

  get left(): number {
    return this.#bytes.length - this.#at;
  }

  uint8(): number {
    return this.bytes(1)[0]!;
  }

  uint16(): number {
    return this.bytes(2).readUInt16BE(0);
  }

  uint24(): number {
    return this.bytes(3).readUIntBE(0, 3);
  }

  bytes(length: number): Buffer {
    if (length > this.left) throw this.#malformed();
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  uint16List(listBytes: number): number[] {
    if (listBytes % 2 !== 0) throw this.#malformed();
    const list = this.bytes(listBytes);
    return Array.from({ length: listBytes / 2 }, (_, index) => list.readUInt16BE(2 * index));
  }

  /** Nothing may follow. */
  end(): void {
    if (this.left > 0) throw this.#malformed();
  }

  #malformed(): DtlsFault {
    return new DtlsFault(alert.decodeError, `the peer's ${this.#what} is malformed`);
  }
}

const uint8 = (value: number): Buffer => Buffer.of(value);
const uint16 = (value: number): Buffer => Buffer.of(value >> 8, value & 0xff);
const uint24 = (value: number): Buffer => Buffer.of(value >> 16, (value >> 8) & 0xff, value & 0xff);
const vector8 = (...parts: Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  return Buffer.concat([uint8(body.length), body]);
};
const vector16 = (...parts: Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  return Buffer.concat([uint16(body.length), body]);
};
const vector24 = (...parts: Buffer[]): Buffer => {
  const body = Buffer.concat(parts);
  return Buffer.concat([uint24(body.length), body]);
};
const extension = (type: number, ...body: Buffer[]): Buffer =>
  Buffer.concat([uint16(type), vector16(...body)]);

/** Each extension's body by its type. */
function parseExtensions(reader: Reader, message: string): Map<number, Buffer> {
  const extensions = new Map<number, Buffer>();
  // A hello may end before its extensions.
  if (reader.left === 0) return extensions;
  const list = new Reader(reader.bytes(reader.uint16()), message);
  reader.end();
  while (list.left > 0) {
    const type = list.uint16();
    if (extensions.has(type) || extensions.size >= limits.dtlsExtensions.value) {
      throw new DtlsFault(
        alert.illegalParameter,
        `the peer's ${message} repeats an extension or has too many`,
      );
    }
    extensions.set(type, list.bytes(list.uint16()));
  }
  return extensions;
}

/** No handshake came before on this connection, so there is nothing that the extension could be bound to. */
function checkRenegotiationInfo(body: Buffer | undefined): void {
  if (body !== undefined && !(body.length === 1 && body[0] === 0)) {
    throw new DtlsFault(alert.handshakeFailure, 'the peer asks for a renegotiation in its first handshake');
  }
}

/** The list of profiles of a use_srtp extension. The identifier after it (MKI) is not used in WebRTC. */
function parseUseSrtp(body: Buffer): { ids: number[]; mki: Buffer } {
  const reader = new Reader(body, 'use_srtp extension');
  const ids = reader.uint16List(reader.uint16());
  const mki = reader.bytes(reader.uint8());
  reader.end();
  return { ids, mki };
}

function checkPointFormats(body: Buffer | undefined): void {
  if (body === undefined) return;
  const reader = new Reader(body, 'ec_point_formats extension');
  const formats = reader.bytes(reader.uint8());
  if (!formats.includes(uncompressed)) {
    throw new DtlsFault(alert.illegalParameter, 'the peer does not support uncompressed points');
  }
}

/** What a ClientHello offers, as far as we have use for it; lists are in the peer's order. */
export interface ClientHello {
  random: Buffer;
  cookie: Buffer;
  suites: number[];
  /** Groups that we have, too. */
  groups: NamedGroup[];
  schemes: number[];
  srtpProfiles: SrtpProfile[];
  extendedMasterSecret: boolean;
  /** It expects the renegotiation_info extension in the answer. */
  renegotiationInfo: boolean;
  pointFormats: boolean;
}

export function writeClientHello(random: Buffer, cookie: Buffer): Buffer {
  return Buffer.concat([
    uint16(dtls12),
    random,
    vector8(),
    vector8(cookie),
    vector16(uint16(cipherSuite.ecdheEcdsaAes128Gcm), uint16(cipherSuite.ecdheRsaAes128Gcm)),
    vector8(uint8(0)),
    vector16(
      extension(
        extensionType.supportedGroups,
        vector16(...namedGroups.map((group) => uint16(groupId(group)))),
      ),
      extension(extensionType.ecPointFormats, vector8(uint8(uncompressed))),
      extension(extensionType.signatureAlgorithms, vector16(...offeredSchemes.map(uint16))),
      extension(
        extensionType.useSrtp,
        vector16(...negotiatedSrtpProfiles.map((profile) => uint16(srtpProfiles[profile].dtlsId))),
        vector8(),
      ),
      extension(extensionType.extendedMasterSecret),
      extension(extensionType.renegotiationInfo, vector8()),
    ),
  ]);
}

export function parseClientHello(body: Buffer): ClientHello {
  const reader = new Reader(body, 'ClientHello');
  const version = reader.uint16();
  // Higher versions have lower numbers; DTLS 1.3 is offered in an extension, under the number of 1.2.
  if (version > dtls12) {
    throw new DtlsFault(alert.protocolVersion, 'the peer does not support DTLS 1.2');
  }
  const random = reader.bytes(randomBytesLength);
  reader.bytes(reader.uint8());
  const cookie = reader.bytes(reader.uint8());
  const suites = reader.uint16List(reader.uint16());
  const compressions = reader.bytes(reader.uint8());
  if (!compressions.includes(0)) {
    throw new DtlsFault(alert.illegalParameter, 'the peer wants compression');
  }
  const extensions = parseExtensions(reader, 'ClientHello');
  checkRenegotiationInfo(extensions.get(extensionType.renegotiationInfo));
  checkPointFormats(extensions.get(extensionType.ecPointFormats));
  const useSrtp = extensions.get(extensionType.useSrtp);
  const groups = extensions.get(extensionType.supportedGroups);
  return {
    random,
    cookie,
    suites,
    // A client without the extension takes any group (RFC 8422, section 4): the one that everybody has.
    groups:
      groups === undefined
        ? ['p256']
        : uint16Extension(groups, 'supported_groups').flatMap((id) => groupById(id) ?? []),
    schemes: uint16Extension(
      extensions.get(extensionType.signatureAlgorithms) ?? vector16(),
      'signature_algorithms',
    ),
    srtpProfiles:
      useSrtp === undefined ? [] : parseUseSrtp(useSrtp).ids.flatMap((id) => srtpProfileById(id) ?? []),
    extendedMasterSecret: extensions.has(extensionType.extendedMasterSecret),
    renegotiationInfo:
      extensions.has(extensionType.renegotiationInfo) || suites.includes(emptyRenegotiationInfoSuite),
    pointFormats: extensions.has(extensionType.ecPointFormats),
  };
}

function uint16Extension(body: Buffer, name: string): number[] {
  const reader = new Reader(body, `${name} extension`);
  const list = reader.uint16List(reader.uint16());
  reader.end();
  return list;
}

export interface ServerHello {
  random: Buffer;
  suite: number;
  srtpProfile: SrtpProfile | undefined;
}

export function writeServerHello(
  { random, suite, srtpProfile }: ServerHello,
  { renegotiationInfo, pointFormats }: Pick<ClientHello, 'renegotiationInfo' | 'pointFormats'>,
): Buffer {
  const extensions = [extension(extensionType.extendedMasterSecret)];
  if (renegotiationInfo) extensions.push(extension(extensionType.renegotiationInfo, vector8()));
  if (pointFormats) extensions.push(extension(extensionType.ecPointFormats, vector8(uint8(uncompressed))));
  if (srtpProfile) {
    extensions.push(
      extension(extensionType.useSrtp, vector16(uint16(srtpProfiles[srtpProfile].dtlsId)), vector8()),
    );
  }
  return Buffer.concat([uint16(dtls12), random, vector8(), uint16(suite), uint8(0), vector16(...extensions)]);
}

/** The answer to `writeClientHello`: it may hold only what was offered there. */
export function parseServerHello(body: Buffer): ServerHello {
  const reader = new Reader(body, 'ServerHello');
  const version = reader.uint16();
  if (version !== dtls12) {
    throw new DtlsFault(
      alert.protocolVersion,
      `the peer chose version 0x${version.toString(16)}, not DTLS 1.2`,
    );
  }
  const random = reader.bytes(randomBytesLength);
  reader.bytes(reader.uint8());
  const suite = reader.uint16();
  const compression = reader.uint8();
  if (!(Object.values(cipherSuite) as number[]).includes(suite) || compression !== 0) {
    throw new DtlsFault(alert.illegalParameter, 'the peer chose a cipher suite that was not offered');
  }
  const extensions = parseExtensions(reader, 'ServerHello');
  const offered = Object.values(extensionType) as number[];
  const unknown = [...extensions.keys()].find((type) => !offered.includes(type));
  if (unknown !== undefined) {
    throw new DtlsFault(
      alert.unsupportedExtension,
      `the peer answers extension ${unknown}, which was not sent`,
    );
  }
  checkRenegotiationInfo(extensions.get(extensionType.renegotiationInfo));
  checkPointFormats(extensions.get(extensionType.ecPointFormats));
  if (!extensions.has(extensionType.extendedMasterSecret)) throw noExtendedMasterSecret();
  return { random, suite, srtpProfile: chosenSrtpProfile(extensions.get(extensionType.useSrtp)) };
}

function chosenSrtpProfile(body: Buffer | undefined): SrtpProfile | undefined {
  if (body === undefined) return undefined;
  const { ids, mki } = parseUseSrtp(body);
  const profile = ids.length === 1 ? srtpProfileById(ids[0]!) : undefined;
  if (profile === undefined || mki.length > 0) {
    throw new DtlsFault(alert.illegalParameter, 'the peer chose an SRTP profile that was not offered');
  }
  return profile;
}

/** Keys for SRTP are exported from the master secret, which must belong to this handshake alone (RFC 7627, section 5.4). */
export function noExtendedMasterSecret(): DtlsFault {
  return new DtlsFault(
    alert.handshakeFailure,
    'the peer does not support the extended master secret (RFC 7627)',
    {
      advice: 'Update the WebRTC stack of the other side: those from 2017 and later have it.',
    },
  );
}

/** The cookie that the next ClientHello must carry (RFC 6347, section 4.2.1). */
export function parseHelloVerifyRequest(body: Buffer): Buffer {
  const reader = new Reader(body, 'HelloVerifyRequest');
  reader.uint16();
  const cookie = reader.bytes(reader.uint8());
  reader.end();
  return cookie;
}

export const writeCertificate = (der: Buffer): Buffer => vector24(vector24(der));

/** The peer's own certificate, which comes first; undefined when it sent none. */
export function parseCertificate(body: Buffer): Buffer | undefined {
  const reader = new Reader(body, 'Certificate message');
  const list = new Reader(reader.bytes(reader.uint24()), 'certificate list');
  reader.end();
  const certificates: Buffer[] = [];
  while (list.left > 0) {
    if (certificates.length === limits.dtlsCertificates.value) {
      throw new DtlsFault(
        alert.badCertificate,
        `the peer sent more than ${limits.dtlsCertificates.value} certificates`,
      );
    }
    certificates.push(list.bytes(list.uint24()));
  }
  return certificates[0];
}

/** What a signature of `scheme` is over is the caller's to know. */
export interface Signature {
  scheme: number;
  signature: Buffer;
}

const writeSignature = ({ scheme, signature }: Signature): Buffer =>
  Buffer.concat([uint16(scheme), vector16(signature)]);

function readSignature(reader: Reader): Signature {
  return { scheme: reader.uint16(), signature: reader.bytes(reader.uint16()) };
}

/** The part of a ServerKeyExchange that is signed, together with both random values. */
export const writeKeyParameters = (group: NamedGroup, publicKey: Buffer): Buffer =>
  Buffer.concat([uint8(namedCurve), uint16(groupId(group)), vector8(publicKey)]);

export const writeServerKeyExchange = (parameters: Buffer, signature: Signature): Buffer =>
  Buffer.concat([parameters, writeSignature(signature)]);

export interface ServerKeyExchange {
  group: NamedGroup;
  publicKey: Buffer;
  parameters: Buffer;
  signature: Signature;
}

export function parseServerKeyExchange(body: Buffer): ServerKeyExchange {
  const reader = new Reader(body, 'ServerKeyExchange');
  const curveType = reader.uint8();
  const group = groupById(reader.uint16());
  if (curveType !== namedCurve || group === undefined) {
    throw new DtlsFault(alert.illegalParameter, 'the peer chose a group that was not offered');
  }
  const publicKey = reader.bytes(reader.uint8());
  const parameters = body.subarray(0, body.length - reader.left);
  const signature = readSignature(reader);
  reader.end();
  return { group, publicKey, parameters, signature };
}

export const writeCertificateRequest = (): Buffer =>
  Buffer.concat([
    vector8(uint8(ecdsaSign), uint8(rsaSign)),
    vector16(...offeredSchemes.map(uint16)),
    vector16(),
  ]);

/** The signature schemes that our CertificateVerify may use. */
export function parseCertificateRequest(body: Buffer): number[] {
  const reader = new Reader(body, 'CertificateRequest');
  reader.bytes(reader.uint8());
  const schemes = reader.uint16List(reader.uint16());
  reader.bytes(reader.uint16());
  reader.end();
  return schemes;
}

export const writeClientKeyExchange = (publicKey: Buffer): Buffer => vector8(publicKey);

export function parseClientKeyExchange(body: Buffer): Buffer {
  const reader = new Reader(body, 'ClientKeyExchange');
  const publicKey = reader.bytes(reader.uint8());
  reader.end();
  return publicKey;
}

export const writeCertificateVerify = writeSignature;

export function parseCertificateVerify(body: Buffer): Signature {
  const reader = new Reader(body, 'CertificateVerify');
  const signature = readSignature(reader);
  reader.end();
  return signature;
}

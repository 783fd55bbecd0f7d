import { OffhookError } from '../../errors/index.js';
import { type SrtpProfile, srtpProfiles } from '../srtp/index.js';

/** Version numbers count down in DTLS: 1.0 is 0xfeff, 1.2 is 0xfefd (RFC 6347, section 4.1). */
export const dtls12 = 0xfefd;
export const dtls10 = 0xfeff;

export const contentType = { changeCipherSpec: 20, alert: 21, handshake: 22, applicationData: 23 } as const;
export type ContentType = (typeof contentType)[keyof typeof contentType];

export const handshakeType = {
  helloRequest: 0,
  clientHello: 1,
  serverHello: 2,
  helloVerifyRequest: 3,
  certificate: 11,
  serverKeyExchange: 12,
  certificateRequest: 13,
  serverHelloDone: 14,
  certificateVerify: 15,
  clientKeyExchange: 16,
  finished: 20,
} as const;
export type HandshakeType = (typeof handshakeType)[keyof typeof handshakeType];

export const extensionType = {
  supportedGroups: 10,
  ecPointFormats: 11,
  signatureAlgorithms: 13,
  useSrtp: 14,
  extendedMasterSecret: 23,
  renegotiationInfo: 0xff01,
} as const;

/** RFC 5246, section 7.2. */
export const alert = {
  closeNotify: 0,
  unexpectedMessage: 10,
  handshakeFailure: 40,
  badCertificate: 42,
  unsupportedCertificate: 43,
  illegalParameter: 47,
  decodeError: 50,
  decryptError: 51,
  protocolVersion: 70,
  internalError: 80,
  userCanceled: 90,
  noRenegotiation: 100,
  unsupportedExtension: 110,
} as const;
export type Alert = (typeof alert)[keyof typeof alert];
export const alertLevel = { warning: 1, fatal: 2 } as const;

/** `closeNotify` for 0; the number itself where we have no name for it. */
export function alertName(description: number): string {
  return Object.entries(alert).find(([, value]) => value === description)?.[0] ?? String(description);
}

/** Both suites use AES-128-GCM for records and SHA-256 for keys (RFC 5289). The certificate's key makes the difference. */
export const cipherSuite = { ecdheEcdsaAes128Gcm: 0xc02b, ecdheRsaAes128Gcm: 0xc02f } as const;
/** As IANA registers them. */
export const cipherSuiteNames: Record<number, string> = {
  [cipherSuite.ecdheEcdsaAes128Gcm]: 'TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256',
  [cipherSuite.ecdheRsaAes128Gcm]: 'TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256',
};
/** A client that has no extension for it says so with this suite (RFC 5746, section 3.3). */
export const emptyRenegotiationInfoSuite = 0x00ff;

/** What a peer may sign with, the best first (RFC 8446, section 4.2.3). */
export const signatureScheme = {
  ecdsaSecp256r1Sha256: 0x0403,
  rsaPssRsaeSha256: 0x0804,
  rsaPkcs1Sha256: 0x0401,
  ecdsaSecp384r1Sha384: 0x0503,
  rsaPssRsaeSha384: 0x0805,
  rsaPkcs1Sha384: 0x0501,
} as const;

/** The protection profiles for SRTP that we negotiate, in the order in which we prefer them (RFC 5764, section 4.1.2). */
export const negotiatedSrtpProfiles = [
  'AEAD_AES_128_GCM',
  'AES_CM_128_HMAC_SHA1_80',
] as const satisfies SrtpProfile[];

export function srtpProfileById(id: number): SrtpProfile | undefined {
  return negotiatedSrtpProfiles.find((name) => srtpProfiles[name].dtlsId === id);
}

/** Why a handshake cannot go on: an error for the program and an alert for the peer. */
export class DtlsFault extends OffhookError {
  readonly alert: Alert;

  constructor(alertToPeer: Alert, message: string, details: { advice?: string; cause?: unknown } = {}) {
    super('OFFHOOK_TRANSPORT', message, { stage: 'dtls', ...details });
    this.alert = alertToPeer;
  }

  /** The message does not have its own form, or does not belong where it came. */
  get isGarbage(): boolean {
    return this.alert === alert.decodeError || this.alert === alert.unexpectedMessage;
  }
}

import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto';

/** A self-signed certificate for DTLS and its key; the other side knows it by its fingerprint (RFC 8122). */
export interface Certificate {
  /** X.509. */
  der: Buffer;
  privateKey: KeyObject;
  /** `sha-256 AB:CD:…`, as in `a=fingerprint`. */
  fingerprint: string;
}

const tag = {
  integer: 0x02,
  bitString: 0x03,
  objectId: 0x06,
  utf8String: 0x0c,
  sequence: 0x30,
  set: 0x31,
  utcTime: 0x17,
  explicit0: 0xa0,
} as const;
/** 1.2.840.10045.4.3.2 and 2.5.4.3 (RFC 5758, RFC 5280). */
const ecdsaWithSha256 = Buffer.from('2a8648ce3d040302', 'hex');
const commonName = Buffer.from('550403', 'hex');
const lifetimeMs = 365 * 24 * 3600 * 1000;

/** Makes an ECDSA P-256 certificate (RFC 8826 asks for that curve) that is valid from yesterday for a year. */
export function generateCertificate(name: string, nowMs: number = Date.now()): Certificate {
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const algorithm = der(tag.sequence, der(tag.objectId, ecdsaWithSha256));
  const distinguishedName = der(
    tag.sequence,
    der(tag.set, der(tag.sequence, der(tag.objectId, commonName), der(tag.utf8String, Buffer.from(name)))),
  );
  const serial = randomBytes(8);
  // A positive integer without leading zeros, whatever the random bytes were.
  serial[0] = (serial[0]! & 0x3f) | 0x40;
  const toBeSigned = der(
    tag.sequence,
    der(tag.explicit0, der(tag.integer, Buffer.of(2))),
    der(tag.integer, serial),
    algorithm,
    distinguishedName,
    der(tag.sequence, utcTime(nowMs - 24 * 3600 * 1000), utcTime(nowMs + lifetimeMs)),
    distinguishedName,
    publicKey.export({ type: 'spki', format: 'der' }),
  );
  const signature = sign('sha256', toBeSigned, privateKey);
  const certificate = der(tag.sequence, toBeSigned, algorithm, der(tag.bitString, Buffer.of(0), signature));
  const digest = createHash('sha256').update(certificate).digest('hex').toUpperCase();
  return {
    der: certificate,
    privateKey,
    fingerprint: `sha-256 ${digest.match(/../g)!.join(':')}`,
  };
}

let processCertificate: Certificate | undefined;

/** The certificate of this process, made when it is first asked for: one is enough for all of its connections. */
export function ownCertificate(): Certificate {
  processCertificate ??= generateCertificate('offhook');
  return processCertificate;
}

/** One element of distinguished encoding rules (X.690): tag, length, content. */
function der(type: number, ...content: Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  if (body.length < 0x80) return Buffer.concat([Buffer.of(type, body.length), body]);
  const length = body.length < 0x100 ? [0x81, body.length] : [0x82, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.of(type, ...length), body]);
}

function utcTime(ms: number): Buffer {
  const digits = new Date(ms).toISOString().replace(/\D/g, '').slice(2, 14);
  return der(tag.utcTime, Buffer.from(`${digits}Z`));
}

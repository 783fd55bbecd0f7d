import { constants, createHash, type KeyObject, sign, verify, X509Certificate } from 'node:crypto';
import { limits } from '../../limits.js';
import type { Signature } from './handshake-messages.js';
import { alert, cipherSuite, DtlsFault, signatureScheme } from './protocol.js';

const minRsaBits = 2_048;
const curves = ['prime256v1', 'secp384r1'];
/** RFC 8122 names older ones, too; they prove nothing today. */
const fingerprintHashes = ['sha256', 'sha384', 'sha512'];

type KeyKind = 'ec' | 'rsa';

interface Scheme {
  key: KeyKind;
  hash: 'sha256' | 'sha384';
  /** RSA-PSS with a salt as long as the hash. */
  pss?: true;
}

const schemes: Record<number, Scheme> = {
  [signatureScheme.ecdsaSecp256r1Sha256]: { key: 'ec', hash: 'sha256' },
  [signatureScheme.ecdsaSecp384r1Sha384]: { key: 'ec', hash: 'sha384' },
  [signatureScheme.rsaPkcs1Sha256]: { key: 'rsa', hash: 'sha256' },
  [signatureScheme.rsaPkcs1Sha384]: { key: 'rsa', hash: 'sha384' },
  [signatureScheme.rsaPssRsaeSha256]: { key: 'rsa', hash: 'sha256', pss: true },
  [signatureScheme.rsaPssRsaeSha384]: { key: 'rsa', hash: 'sha384', pss: true },
};

/**
 * The peer's certificate. WebRTC trusts it for its fingerprint alone (RFC 8827, section 6.5): issuer, names and dates
 * mean nothing. What counts is the key, with which the peer must sign.
 */
export class PeerCertificate {
  readonly der: Buffer;
  #key: KeyObject;
  #kind: KeyKind;

  /** @throws DtlsFault for what is no certificate, or one with a key that we do not accept */
  constructor(der: Buffer) {
    this.der = der;
    try {
      const certificate = new X509Certificate(der);
      // Node reads PEM, too, and passes over what follows the certificate.
      if (!certificate.raw.equals(der)) throw new Error('it has more than one encoding');
      this.#key = certificate.publicKey;
    } catch (cause) {
      throw new DtlsFault(alert.badCertificate, "the peer's certificate cannot be read", { cause });
    }
    this.#kind = acceptedKind(this.#key);
  }

  /** Whether the suite is for certificates of this kind. */
  fits(suite: number): boolean {
    return suite === (this.#kind === 'ec' ? cipherSuite.ecdheEcdsaAes128Gcm : cipherSuite.ecdheRsaAes128Gcm);
  }

  /** @throws DtlsFault when the signature over `content` is not of this certificate's key */
  verify(content: Buffer, { scheme, signature }: Signature): void {
    const known = schemes[scheme];
    if (known?.key !== this.#kind) {
      throw new DtlsFault(
        alert.illegalParameter,
        `the peer signs with scheme 0x${scheme.toString(16)}, which was not offered for its key`,
      );
    }
    let valid = false;
    try {
      valid = verify(known.hash, content, { key: this.#key, ...padding(known) }, signature);
    } catch {
      // A signature that is no signature at all.
    }
    if (!valid) {
      throw new DtlsFault(alert.decryptError, 'the peer does not have the key of its certificate', {
        advice: 'Somebody may be intercepting the connection: if it happens again, examine the network.',
      });
    }
  }

  /** @param fingerprints as in `a=fingerprint`: `sha-256 AB:CD:…`. One match is enough. */
  matches(fingerprints: readonly string[]): boolean {
    return fingerprints.some((fingerprint) => {
      const [algorithm = '', digest = ''] = fingerprint.trim().split(/\s+/);
      const hash = algorithm.toLowerCase().replace('-', '');
      if (!fingerprintHashes.includes(hash)) return false;
      return createHash(hash).update(this.der).digest('hex') === digest.replaceAll(':', '').toLowerCase();
    });
  }
}

function acceptedKind(key: KeyObject): KeyKind {
  const { namedCurve = '', modulusLength = 0 } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'ec' && curves.includes(namedCurve)) return 'ec';
  if (
    key.asymmetricKeyType === 'rsa' &&
    modulusLength >= minRsaBits &&
    modulusLength <= limits.rsaBits.value
  ) {
    return 'rsa';
  }
  throw new DtlsFault(
    alert.unsupportedCertificate,
    `the peer's certificate has a key that we do not accept: ${key.asymmetricKeyType} ${namedCurve || modulusLength}`,
    { advice: `Use ECDSA on P-256, or RSA with ${minRsaBits} bits.` },
  );
}

function padding({ key, pss }: Scheme): object {
  if (key === 'ec') return { dsaEncoding: 'der' };
  if (!pss) return { padding: constants.RSA_PKCS1_PADDING };
  return { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
}

/** Signs with our own key, which is of P-256. */
export function signWith(privateKey: KeyObject, content: Buffer): Signature {
  return {
    scheme: signatureScheme.ecdsaSecp256r1Sha256,
    signature: sign('sha256', content, { key: privateKey, dsaEncoding: 'der' }),
  };
}

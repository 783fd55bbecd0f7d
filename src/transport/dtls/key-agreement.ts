import { createPublicKey, diffieHellman, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { alert, DtlsFault } from './protocol.js';

/** SubjectPublicKeyInfo of a key without the key itself (RFC 8410; RFC 5480): the way for raw keys in and out of Node. */
const groups = {
  x25519: { id: 0x001d, keyBytes: 32, prefix: Buffer.from('302a300506032b656e032100', 'hex') },
  p256: {
    id: 0x0017,
    keyBytes: 65,
    prefix: Buffer.from('3059301306072a8648ce3d020106082a8648ce3d030107034200', 'hex'),
  },
} as const;
export type NamedGroup = keyof typeof groups;

/** In the order in which we prefer them. */
export const namedGroups = Object.keys(groups) as NamedGroup[];

export const groupId = (group: NamedGroup): number => groups[group].id;

export function groupById(id: number): NamedGroup | undefined {
  return namedGroups.find((name) => groups[name].id === id);
}

/** One ephemeral key of ours (RFC 8422). */
export class KeyAgreement {
  readonly group: NamedGroup;
  /** As it goes on the wire: 32 bytes of X25519, an uncompressed point of P-256. */
  readonly publicKey: Buffer;
  #privateKey: KeyObject;

  constructor(group: NamedGroup) {
    this.group = group;
    const { publicKey, privateKey } =
      group === 'x25519' ? generateKeyPairSync('x25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.#privateKey = privateKey;
    this.publicKey = publicKey.export({ type: 'spki', format: 'der' }).subarray(groups[group].prefix.length);
  }

  /** @throws DtlsFault for a key that is no point of the curve, or one that leaves no secret */
  sharedSecret(peerKey: Buffer): Buffer {
    const { prefix, keyBytes } = groups[this.group];
    if (peerKey.length !== keyBytes) {
      throw new DtlsFault(alert.illegalParameter, `the peer's ${this.group} key has ${peerKey.length} bytes`);
    }
    try {
      const publicKey = createPublicKey({
        key: Buffer.concat([prefix, peerKey]),
        format: 'der',
        type: 'spki',
      });
      return diffieHellman({ privateKey: this.#privateKey, publicKey });
    } catch (cause) {
      throw new DtlsFault(alert.illegalParameter, `the peer's ${this.group} key is not valid`, { cause });
    }
  }
}

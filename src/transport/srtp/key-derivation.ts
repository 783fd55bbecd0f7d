import { createCipheriv } from 'node:crypto';
import type { SrtpMasterKey } from './profile.js';

/** What a session key is for (RFC 3711 section 4.3.1). */
export const keyLabel = {
  rtpEncryption: 0,
  rtpAuthentication: 1,
  rtpSalt: 2,
  rtcpEncryption: 3,
  rtcpAuthentication: 4,
  rtcpSalt: 5,
} as const;

export type KeyLabel = (typeof keyLabel)[keyof typeof keyLabel];

/**
 * A session key from a master key (RFC 3711 section 4.3.3), with a key derivation rate of 0: keys never change.
 * A salt of 12 bytes is padded with zeros on the right (RFC 7714 section 11).
 */
export function deriveKey(master: SrtpMasterKey, label: KeyLabel, byteCount: number): Buffer {
  const counter = Buffer.alloc(16);
  master.salt.copy(counter, 0, 0, 14);
  counter[7]! ^= label;
  return createCipheriv('aes-128-ctr', master.key, counter).update(Buffer.alloc(byteCount));
}

/** What a transform works with. AES-GCM has no use for the authentication keys. */
export interface SessionKeys {
  rtp: PacketKeys;
  rtcp: PacketKeys;
}

export interface PacketKeys {
  encryption: Buffer;
  salt: Buffer;
  authentication: Buffer;
}

const encryptionKeyBytes = 16;
const authenticationKeyBytes = 20;

/** Every session key of one side. Salts are as long as the master salt. */
export function deriveSessionKeys(master: SrtpMasterKey): SessionKeys {
  const saltBytes = master.salt.length;
  return {
    rtp: {
      encryption: deriveKey(master, keyLabel.rtpEncryption, encryptionKeyBytes),
      salt: deriveKey(master, keyLabel.rtpSalt, saltBytes),
      authentication: deriveKey(master, keyLabel.rtpAuthentication, authenticationKeyBytes),
    },
    rtcp: {
      encryption: deriveKey(master, keyLabel.rtcpEncryption, encryptionKeyBytes),
      salt: deriveKey(master, keyLabel.rtcpSalt, saltBytes),
      authentication: deriveKey(master, keyLabel.rtcpAuthentication, authenticationKeyBytes),
    },
  };
}

import { createCipheriv, createDecipheriv, type KeyObject } from 'node:crypto';
import { OffhookError } from '../errors/index.js';
import { IvSequence, ivBytes, tagBytes } from './frame-cryptor.js';
import type { KeyProvider, KeySet } from './key-provider.js';

/** An encrypted data packet or data track payload (EncryptedPacket of LiveKit's models.proto). */
export interface EncryptedData {
  /** Cipher text, then the tag of 16 bytes. */
  payload: Buffer;
  /** 12 bytes. */
  iv: Buffer;
  keyIndex: number;
}

/** Encrypts and decrypts data with the keys of a room: AES-128-GCM without additional data. */
export class DataCryptor {
  readonly #keys: KeyProvider;
  readonly #ivs = new IvSequence();

  constructor(keys: KeyProvider) {
    this.#keys = keys;
  }

  /**
   * @param identity the sender: our own identity
   * @throws OffhookError `OFFHOOK_INVALID_REQUEST` without a key
   */
  async encrypt(data: Uint8Array, identity: string): Promise<EncryptedData> {
    const ring = this.#keys.ring(identity);
    const keyIndex = ring.currentIndex;
    const key = await frameKey(ring.at(keyIndex), identity, keyIndex);
    const iv = Buffer.from(this.#ivs.next());
    const cipher = createCipheriv('aes-128-gcm', key, iv, { authTagLength: tagBytes });
    const payload = Buffer.concat([cipher.update(data), cipher.final(), cipher.getAuthTag()]);
    return { payload, iv, keyIndex };
  }

  /**
   * @param identity the sender
   * @throws OffhookError `OFFHOOK_INVALID_REQUEST` without a key, `OFFHOOK_PROTOCOL` when no key opens it
   */
  async decrypt({ payload, iv, keyIndex }: EncryptedData, identity: string): Promise<Buffer> {
    const ring = this.#keys.ring(identity);
    const key = await frameKey(ring.at(keyIndex), identity, keyIndex);
    let opened = tryOpen(payload, iv, key);
    if (!opened) {
      await ring.search(keyIndex, (candidate) => {
        opened = tryOpen(payload, iv, candidate);
        return opened !== undefined;
      });
    }
    if (opened) return opened;
    throw new OffhookError(
      'OFFHOOK_PROTOCOL',
      `data from ${identity} cannot be decrypted with key ${keyIndex}`,
      {
        advice: 'Both ends need the same key, index, salt and derivation.',
      },
    );
  }
}

async function frameKey(keySet: KeySet | undefined, identity: string, keyIndex: number) {
  await keySet?.ready;
  if (keySet?.frameKey) return keySet.frameKey;
  throw new OffhookError('OFFHOOK_INVALID_REQUEST', `${identity} has no key ${keyIndex}`);
}

function tryOpen(payload: Buffer, iv: Buffer, key: KeyObject): Buffer | undefined {
  if (iv.length !== ivBytes || payload.length < tagBytes) return undefined;
  const cut = payload.length - tagBytes;
  const decipher = createDecipheriv('aes-128-gcm', key, iv, { authTagLength: tagBytes });
  decipher.setAuthTag(payload.subarray(cut));
  try {
    return Buffer.concat([decipher.update(payload.subarray(0, cut)), decipher.final()]);
  } catch {
    return undefined;
  }
}

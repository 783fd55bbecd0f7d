import { createCipheriv, createDecipheriv, type KeyObject, randomBytes } from 'node:crypto';
import {
  addEmulationPrevention,
  clearBytes,
  type FrameCodec,
  hasEmulationPrevention,
  haveSamePpsId,
  removeEmulationPrevention,
  usesStartCodes,
} from './clear-bytes.js';
import type { KeyRing, KeySet } from './key-provider.js';

/** The state of one track's encryption, as programs hear of it (EncryptionState of LiveKit's e2ee.proto). */
export type EncryptionState =
  | 'new'
  | 'ok'
  | 'encryptionFailed'
  | 'decryptionFailed'
  | 'missingKey'
  | 'keyRatcheted'
  | 'internalError';

export const ivBytes = 12;
const randomIvBytes = 8;
export const tagBytes = 16;
/** Length of the IV, then the index of the key, at the end of each frame. */
const trailerBytes = 2;
const algorithm = 'aes-128-gcm';
/** Of a key frame of H.264. One in two does for parameter set 0, the only one that encoders have in practice. */
const maxSealAttempts = 64;

/**
 * Initialization vectors that never repeat: 8 random bytes, then a counter; new random bytes when it wraps. No byte is
 * zero: the native engine reads the vector of an H.264 frame without taking emulation prevention bytes out of it.
 */
export class IvSequence {
  readonly #iv = Buffer.alloc(ivBytes);

  constructor() {
    this.#begin();
  }

  /** The next one. The buffer is written again at the next call. */
  next(): Buffer {
    const iv = this.#iv;
    for (let at = ivBytes - 1; at >= randomIvBytes; at--) {
      const digit = (iv[at] ?? 0) + 1;
      iv[at] = digit > 0xff ? 1 : digit;
      if (digit <= 0xff) return iv;
    }
    this.#begin();
    return iv;
  }

  #begin(): void {
    this.#iv.fill(1);
    for (const [at, byte] of randomBytes(randomIvBytes).entries()) this.#iv[at] = byte || 1;
  }
}

interface FrameCryptorOptions {
  keys: KeyRing;
  codec: FrameCodec;
  /** Called when the state changes, not for each frame. */
  onStateChange(state: EncryptionState): void;
}

/** What both directions share: whether it is switched on, and a state that is announced when it changes. */
class FrameCryptor {
  /** Off: frames pass as they are. */
  isEnabled = true;
  protected readonly keys: KeyRing;
  readonly codec: FrameCodec;
  readonly #onStateChange: (state: EncryptionState) => void;
  #state: EncryptionState = 'new';

  constructor({ keys, codec, onStateChange }: FrameCryptorOptions) {
    this.keys = keys;
    this.codec = codec;
    this.#onStateChange = onStateChange;
  }

  get state(): EncryptionState {
    return this.#state;
  }

  protected enter(state: EncryptionState): void {
    if (state === this.#state) return;
    this.#state = state;
    this.#onStateChange(state);
  }
}

/**
 * Encrypts the encoded frames of one track, before they are cut into packets. Layout, the same as in LiveKit's other
 * clients: clear bytes, AES-128-GCM of the rest with its tag, IV, length of the IV, index of the key. The clear bytes
 * are authenticated.
 */
export class FrameEncryptor extends FrameCryptor {
  readonly #ivs = new IvSequence();
  /** Index of the key to encrypt with. A key that is set at another index does not change it: programs set several, then choose. */
  keyIndex = 0;

  /** Once for each encoded frame. Undefined when there is no key: a frame never leaves unencrypted. */
  encrypt(frame: Buffer, isKeyFrame = false): Buffer | undefined {
    if (!this.isEnabled || frame.length === 0) return frame;
    const keySet = this.keys.at(this.keyIndex);
    if (!keySet) {
      this.enter('missingKey');
      return undefined;
    }
    if (!keySet.frameKey) return undefined;
    const clear = clearBytes(frame, this.codec, isKeyFrame);
    let encrypted = this.#seal(frame, clear, keySet.frameKey);
    if (this.codec === 'h264' && isKeyFrame) {
      for (let attempt = 1; attempt < maxSealAttempts; attempt++) {
        if (haveSamePpsId(frame, encrypted, clear)) break;
        encrypted = this.#seal(frame, clear, keySet.frameKey);
      }
    }
    this.enter('ok');
    if (!usesStartCodes(this.codec)) return encrypted;
    return Buffer.concat([encrypted.subarray(0, clear), addEmulationPrevention(encrypted.subarray(clear))]);
  }

  #seal(frame: Buffer, clear: number, key: KeyObject): Buffer {
    const iv = this.#ivs.next();
    const cipher = createCipheriv(algorithm, key, iv, { authTagLength: tagBytes });
    const output = Buffer.allocUnsafe(frame.length + tagBytes + ivBytes + trailerBytes);
    frame.copy(output, 0, 0, clear);
    cipher.setAAD(frame.subarray(0, clear));
    let at = clear;
    at += cipher.update(frame.subarray(clear)).copy(output, at);
    cipher.final();
    at += cipher.getAuthTag().copy(output, at);
    at += iv.copy(output, at);
    output[at] = ivBytes;
    output[at + 1] = this.keyIndex;
    return output;
  }
}

interface SealedFrame {
  clear: Buffer;
  sealed: Buffer;
  iv: Buffer;
}

/**
 * Decrypts the frames of one track. A frame that no key opens is dropped, never played as noise. A key that its sender
 * has ratcheted is searched for on another thread, while frames are dropped.
 */
export class FrameDecryptor extends FrameCryptor {
  /** What the server puts behind frames of its own making, which are not encrypted; empty when it makes none. */
  #serverTrailer: Buffer;
  #closed = false;

  constructor(options: FrameCryptorOptions & { serverTrailer?: Uint8Array }) {
    super(options);
    this.#serverTrailer = Buffer.from(options.serverTrailer ?? []);
  }

  set serverTrailer(trailer: Uint8Array) {
    this.#serverTrailer = Buffer.from(trailer);
  }

  /** Once for each received frame, whole. Undefined when it is to be dropped. */
  decrypt(frame: Buffer, isKeyFrame = false): Buffer | undefined {
    if (!this.isEnabled || frame.length === 0) return frame;
    const own = this.#withoutServerTrailer(frame);
    if (own) return own;
    const index = frame[frame.length - 1] ?? 0;
    const sealed = this.#split(frame, isKeyFrame);
    if (!sealed || index >= this.keys.size) {
      this.enter('decryptionFailed');
      return undefined;
    }
    const keySet = this.keys.at(index);
    if (!keySet) {
      this.enter('missingKey');
      return undefined;
    }
    if (!keySet.frameKey || this.keys.isInvalid(index)) return undefined;
    const opened = open(sealed, keySet.frameKey);
    if (opened) {
      this.keys.succeeded(index);
      this.enter('ok');
      return opened;
    }
    this.#search(sealed, index, keySet).catch(() => this.enter('internalError'));
    return undefined;
  }

  close(): void {
    this.#closed = true;
  }

  #withoutServerTrailer(frame: Buffer): Buffer | undefined {
    const { length } = this.#serverTrailer;
    if (length === 0 || frame.length < length) return undefined;
    const cut = frame.length - length;
    return frame.subarray(cut).equals(this.#serverTrailer) ? frame.subarray(0, cut) : undefined;
  }

  #split(frame: Buffer, isKeyFrame: boolean): SealedFrame | undefined {
    const clear = clearBytes(frame, this.codec, isKeyFrame);
    let rest = frame.subarray(clear);
    if (usesStartCodes(this.codec) && hasEmulationPrevention(rest)) rest = removeEmulationPrevention(rest);
    const sealedBytes = rest.length - ivBytes - trailerBytes;
    if (sealedBytes < tagBytes || rest[rest.length - trailerBytes] !== ivBytes) return undefined;
    return {
      clear: frame.subarray(0, clear),
      sealed: rest.subarray(0, sealedBytes),
      iv: rest.subarray(sealedBytes, sealedBytes + ivBytes),
    };
  }

  /** Counts the failure, once it is clear that the sender has not ratcheted its key. */
  async #search(frame: SealedFrame, index: number, keySet: KeySet): Promise<void> {
    // The packet's memory may be used again before the search ends.
    const copy = {
      clear: Buffer.from(frame.clear),
      sealed: Buffer.from(frame.sealed),
      iv: Buffer.from(frame.iv),
    };
    const result = await this.keys.search(index, (key) => open(copy, key) !== undefined);
    if (this.#closed) return;
    if (result === 'found') this.enter('keyRatcheted');
    if (result === 'notFound' && this.keys.at(index) === keySet) {
      this.keys.failed(index);
      this.enter('decryptionFailed');
    }
  }
}

function open({ clear, sealed, iv }: SealedFrame, key: KeyObject): Buffer | undefined {
  const cut = sealed.length - tagBytes;
  const decipher = createDecipheriv(algorithm, key, iv, { authTagLength: tagBytes });
  decipher.setAAD(clear);
  decipher.setAuthTag(sealed.subarray(cut));
  const output = Buffer.allocUnsafe(clear.length + cut);
  clear.copy(output);
  decipher.update(sealed.subarray(0, cut)).copy(output, clear.length);
  try {
    decipher.final();
    return output;
  } catch {
    return undefined;
  }
}

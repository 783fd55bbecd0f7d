import { createSecretKey, hkdfSync, type KeyObject, pbkdf2, pbkdf2Sync } from 'node:crypto';
import { promisify } from 'node:util';
import { OffhookError } from '../errors/index.js';

const derivePbkdf2 = promisify(pbkdf2);

/** How a frame key is made from a key that the program gives (KeyDerivationFunction of LiveKit's e2ee.proto). */
export type KeyDerivation = 'pbkdf2' | 'hkdf';

export interface KeyProviderOptions {
  /** One key for everybody, which each participant may ratchet on; otherwise each participant has keys of its own. */
  sharedKey: boolean;
  /** Salt of every derivation. Default: the salt that all LiveKit clients use. */
  ratchetSalt?: Uint8Array;
  /** How many times a key is ratcheted in search of the one a frame was encrypted with; 0 never. Default 16. */
  ratchetWindowSize?: number;
  /** Frames in a row that a key may fail to decrypt before it counts as invalid; -1 for any number. Default -1. */
  failureTolerance?: number;
  /** Keys that a participant may have at once, 1 to 256. Default 16. */
  keyRingSize?: number;
  /** Default `pbkdf2`. */
  derivation?: KeyDerivation;
}

/** A key of a ring: what the program gave (or what came of ratcheting it), and the frame key derived from that. */
export interface KeySet {
  readonly material: Buffer;
  /** Undefined for the few milliseconds that PBKDF2 takes on another thread. */
  frameKey: KeyObject | undefined;
  /** Settles when `frameKey` is there. */
  readonly ready: Promise<void>;
}

const defaultSalt = 'LKFrameEncryptionKey';
const pbkdf2Iterations = 100_000;
const hkdfInfo = Buffer.alloc(128);
const materialBytes = 32;
const frameKeyBytes = 16;
const maxMaterialBytes = 4096;
const ratchetPauseMs = 5_000;
/** More participants than a room holds: an identity is foreign text, and the table must end somewhere. */
const maxParticipants = 10_000;

/** The derivations of one provider. */
export class KeyDeriver {
  readonly #salt: Buffer;
  readonly #derivation: KeyDerivation;

  constructor(salt: Uint8Array | undefined, derivation: KeyDerivation) {
    this.#salt = Buffer.from(salt ?? Buffer.from(defaultSalt));
    this.#derivation = derivation;
  }

  keySet(material: Buffer): KeySet {
    if (this.#derivation === 'hkdf') {
      return {
        material,
        frameKey: createSecretKey(this.#hkdf(material, frameKeyBytes)),
        ready: Promise.resolve(),
      };
    }
    const derived = derivePbkdf2(material, this.#salt, pbkdf2Iterations, frameKeyBytes, 'sha256');
    const keySet: KeySet = {
      material,
      frameKey: undefined,
      ready: derived.then((key) => {
        keySet.frameKey = createSecretKey(key);
      }),
    };
    return keySet;
  }

  /** The material after this one, off this thread: 100,000 rounds of SHA-256 take longer than an audio frame. */
  async ratchet(material: Buffer): Promise<Buffer> {
    if (this.#derivation === 'hkdf') return this.#hkdf(material, materialBytes);
    return derivePbkdf2(material, this.#salt, pbkdf2Iterations, materialBytes, 'sha256');
  }

  /** As `ratchet`, for a program that waits for the new key. */
  ratchetNow(material: Buffer): Buffer {
    if (this.#derivation === 'hkdf') return this.#hkdf(material, materialBytes);
    return pbkdf2Sync(material, this.#salt, pbkdf2Iterations, materialBytes, 'sha256');
  }

  #hkdf(material: Buffer, length: number): Buffer {
    return Buffer.from(hkdfSync('sha256', material, this.#salt, hkdfInfo, length));
  }
}

interface KeyRingOptions {
  keyRingSize: number;
  ratchetWindowSize: number;
  failureTolerance: number;
  nowMs: () => number;
}

/** The keys of one participant, by index. */
export class KeyRing {
  readonly deriver: KeyDeriver;
  readonly ratchetWindowSize: number;
  readonly #failureTolerance: number;
  readonly #keys: (KeySet | undefined)[];
  readonly #failures: Uint32Array;
  readonly #nowMs: () => number;
  #searching = false;
  #searchedInVain: { keySet: KeySet; atMs: number } | undefined;
  /** Index of the key that was set last, which data is encrypted with. */
  currentIndex = 0;

  constructor(options: KeyRingOptions, deriver: KeyDeriver) {
    this.deriver = deriver;
    this.#nowMs = options.nowMs;
    this.ratchetWindowSize = options.ratchetWindowSize;
    this.#failureTolerance = options.failureTolerance;
    this.#keys = new Array(options.keyRingSize).fill(undefined);
    this.#failures = new Uint32Array(options.keyRingSize);
  }

  get size(): number {
    return this.#keys.length;
  }

  at(index: number): KeySet | undefined {
    return this.#keys[index];
  }

  set(index: number, keySet: KeySet): void {
    this.#keys[index] = keySet;
    this.#failures[index] = 0;
  }

  /** Whether the key failed more frames in a row than are tolerated: it is no longer tried until it is replaced. */
  isInvalid(index: number): boolean {
    return this.#failureTolerance >= 0 && (this.#failures[index] ?? 0) > this.#failureTolerance;
  }

  failed(index: number): void {
    this.#failures[index] = (this.#failures[index] ?? 0) + 1;
  }

  succeeded(index: number): void {
    this.#failures[index] = 0;
  }

  /**
   * Looks for the key that a sender has ratcheted to: the successors of the key at `index`, as many as the window
   * has, on another thread. The one that `opens` becomes the key at `index`. One search at a time, and a pause after one
   * in vain: a wrong key must not keep a core busy.
   *
   * @param opens whether a key opens what the current one does not
   * @returns `undecided` while another search is under way, and when the key was replaced meanwhile
   */
  async search(
    index: number,
    opens: (key: KeyObject) => boolean,
  ): Promise<'found' | 'notFound' | 'undecided'> {
    const keySet = this.#keys[index];
    if (!keySet || this.#searching) return 'undecided';
    if (this.ratchetWindowSize === 0 || this.#pausesFor(keySet)) return 'notFound';
    this.#searching = true;
    try {
      let candidate = keySet;
      for (let step = 0; step < this.ratchetWindowSize; step++) {
        candidate = this.deriver.keySet(await this.deriver.ratchet(candidate.material));
        await candidate.ready;
        if (this.#keys[index] !== keySet) return 'undecided';
        if (!candidate.frameKey || !opens(candidate.frameKey)) continue;
        this.set(index, candidate);
        return 'found';
      }
      this.#searchedInVain = { keySet, atMs: this.#nowMs() };
      return 'notFound';
    } finally {
      this.#searching = false;
    }
  }

  #pausesFor(keySet: KeySet): boolean {
    const failed = this.#searchedInVain;
    return failed?.keySet === keySet && this.#nowMs() - failed.atMs < ratchetPauseMs;
  }
}

/**
 * The keys of a room: one shared by everybody, or some for each participant. Compatible with the key providers of
 * LiveKit's other clients.
 */
export class KeyProvider {
  readonly isShared: boolean;
  readonly #deriver: KeyDeriver;
  readonly #ringOptions: KeyRingOptions;
  readonly #rings = new Map<string, KeyRing>();
  readonly #shared: KeyRing;

  /** @throws OffhookError `OFFHOOK_INVALID_REQUEST` for an option out of its range */
  constructor(options: KeyProviderOptions, nowMs: () => number = () => performance.now()) {
    const { ratchetWindowSize = 16, failureTolerance = -1, keyRingSize = 16 } = options;
    checkRange('keyRingSize', keyRingSize, 1, 256);
    checkRange('ratchetWindowSize', ratchetWindowSize, 0, 256);
    checkRange('failureTolerance', failureTolerance, -1, 2 ** 31 - 1);
    this.isShared = options.sharedKey;
    this.#deriver = new KeyDeriver(options.ratchetSalt, options.derivation ?? 'pbkdf2');
    this.#ringOptions = { ratchetWindowSize, failureTolerance, keyRingSize, nowMs };
    this.#shared = this.#newRing();
  }

  /** Sets the key of everybody, also of those who have ratcheted theirs. */
  setSharedKey(key: Uint8Array, index: number): void {
    const keySet = this.#derive(key, index);
    for (const ring of [this.#shared, ...this.#rings.values()]) {
      ring.set(index, keySet);
      ring.currentIndex = index;
    }
  }

  sharedKey(index: number): Uint8Array | undefined {
    return this.#shared.at(index)?.material;
  }

  /** Replaces the shared key by its successor; returns that, or undefined when there is no key to ratchet. */
  ratchetSharedKey(index: number): Uint8Array | undefined {
    const keySet = this.#ratchet(this.#shared, index);
    if (keySet) for (const ring of this.#rings.values()) ring.set(index, keySet);
    return keySet?.material;
  }

  setKey(identity: string, key: Uint8Array, index: number): void {
    const keySet = this.#derive(key, index);
    const ring = this.ring(identity);
    ring.set(index, keySet);
    ring.currentIndex = index;
  }

  key(identity: string, index: number): Uint8Array | undefined {
    return this.#rings.get(identity)?.at(index)?.material;
  }

  ratchetKey(identity: string, index: number): Uint8Array | undefined {
    const ring = this.#rings.get(identity);
    return ring && this.#ratchet(ring, index)?.material;
  }

  /** The keys of a participant; with a shared key, its copy of the shared ring. */
  ring(identity: string): KeyRing {
    const known = this.#rings.get(identity);
    if (known) return known;
    if (this.#rings.size >= maxParticipants) {
      throw new OffhookError(
        'OFFHOOK_INVALID_REQUEST',
        `keys of more than ${maxParticipants} participants are set`,
      );
    }
    const ring = this.#newRing();
    if (this.isShared) {
      for (let index = 0; index < ring.size; index++) {
        const keySet = this.#shared.at(index);
        if (keySet) ring.set(index, keySet);
      }
      ring.currentIndex = this.#shared.currentIndex;
    }
    this.#rings.set(identity, ring);
    return ring;
  }

  /** Forgets what a participant that left had ratcheted, and with keys for each participant its keys. */
  forget(identity: string): void {
    this.#rings.delete(identity);
  }

  #newRing(): KeyRing {
    return new KeyRing(this.#ringOptions, this.#deriver);
  }

  #derive(key: Uint8Array, index: number): KeySet {
    checkRange('key index', index, 0, this.#ringOptions.keyRingSize - 1);
    if (key.length === 0 || key.length > maxMaterialBytes) {
      throw new OffhookError(
        'OFFHOOK_INVALID_REQUEST',
        `a key has 1 to ${maxMaterialBytes} bytes, not ${key.length}`,
      );
    }
    return this.#deriver.keySet(Buffer.from(key));
  }

  #ratchet(ring: KeyRing, index: number): KeySet | undefined {
    const current = ring.at(index);
    if (!current) return undefined;
    const next = this.#deriver.keySet(this.#deriver.ratchetNow(current.material));
    ring.set(index, next);
    return next;
  }
}

function checkRange(name: string, value: number, min: number, max: number): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw new OffhookError(
    'OFFHOOK_INVALID_REQUEST',
    `${name} is ${value}: it must be a whole number from ${min} to ${max}`,
  );
}

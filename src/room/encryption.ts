import {
  type EncryptionState,
  type FrameCodec,
  FrameDecryptor,
  FrameEncryptor,
  type KeyProvider,
} from '../e2ee/index.js';
import { OffhookError } from '../errors/index.js';

/** End-to-end encryption of a room: AES-128-GCM, as LiveKit's other clients have it. */
export interface EncryptionOptions {
  keys: KeyProvider;
  /** Data packets too, not media only; default true. */
  data?: boolean;
}

/** What encrypts or decrypts one track. */
export interface TrackCryptor {
  participantIdentity: string;
  trackSid: string;
  keyIndex: number;
  isEnabled: boolean;
}

interface Entry {
  participantIdentity: string;
  trackSid: string;
  cryptor: FrameEncryptor | FrameDecryptor;
  keyIndex: number;
}

export type EncryptionStateListener = (
  participantIdentity: string,
  /** Undefined for data. */
  trackSid: string | undefined,
  state: EncryptionState,
) => void;

/** The encryption of a room while it is connected: one cryptor for each track that is sent or received encrypted. */
export class RoomEncryption {
  readonly keys: KeyProvider;
  readonly #encryptsData: boolean;
  readonly #onStateChange: EncryptionStateListener;
  /** By identity and sid. */
  readonly #entries = new Map<string, Entry>();
  #isEnabled = true;
  #serverTrailer: Uint8Array = new Uint8Array();

  constructor({ keys, data = true }: EncryptionOptions, onStateChange: EncryptionStateListener) {
    this.keys = keys;
    this.#encryptsData = data;
    this.#onStateChange = onStateChange;
  }

  get isEnabled(): boolean {
    return this.#isEnabled;
  }

  /** Off: what is sent from now on is readable, and what comes is taken as it is. */
  setEnabled(enabled: boolean): void {
    this.#isEnabled = enabled;
    for (const { cryptor } of this.#entries.values()) cryptor.isEnabled = enabled;
  }

  get encryptsData(): boolean {
    return this.#encryptsData && this.#isEnabled;
  }

  get cryptors(): TrackCryptor[] {
    return [...this.#entries.values()].map(({ participantIdentity, trackSid, keyIndex, cryptor }) => ({
      participantIdentity,
      trackSid,
      keyIndex,
      isEnabled: cryptor.isEnabled,
    }));
  }

  /**
   * @param trackSid without it, all tracks of the participant
   * @throws OffhookError `OFFHOOK_INVALID_REQUEST` when no such track is sent or received encrypted
   */
  setCryptorEnabled(participantIdentity: string, trackSid: string | undefined, enabled: boolean): void {
    for (const entry of this.#find(participantIdentity, trackSid)) entry.cryptor.isEnabled = enabled;
  }

  /**
   * Chooses the key that frames are encrypted with: at first it is that at index 0. A received frame says its key itself.
   *
   * @throws OffhookError `OFFHOOK_INVALID_REQUEST` as `setCryptorEnabled`
   */
  setKeyIndex(participantIdentity: string, trackSid: string | undefined, keyIndex: number): void {
    for (const entry of this.#find(participantIdentity, trackSid)) {
      entry.keyIndex = keyIndex;
      if (entry.cryptor instanceof FrameEncryptor) entry.cryptor.keyIndex = keyIndex;
    }
  }

  /** The server may have another trailer for frames of its own in each session (JoinResponse.sif_trailer). */
  set serverTrailer(trailer: Uint8Array) {
    this.#serverTrailer = trailer;
    for (const { cryptor } of this.#entries.values()) {
      if (cryptor instanceof FrameDecryptor) cryptor.serverTrailer = trailer;
    }
  }

  encryptor(identity: string, trackSid: string, codec: FrameCodec): FrameEncryptor {
    const encryptor = new FrameEncryptor(this.#optionsOf(identity, trackSid, codec));
    this.#add(identity, trackSid, encryptor);
    return encryptor;
  }

  decryptor(identity: string, trackSid: string, codec: FrameCodec): FrameDecryptor {
    const options = this.#optionsOf(identity, trackSid, codec);
    const decryptor = new FrameDecryptor({ ...options, serverTrailer: this.#serverTrailer });
    this.#add(identity, trackSid, decryptor);
    return decryptor;
  }

  /** The track is over. */
  forgetTrack(identity: string, trackSid: string): void {
    const key = keyOf(identity, trackSid);
    const cryptor = this.#entries.get(key)?.cryptor;
    if (cryptor instanceof FrameDecryptor) cryptor.close();
    this.#entries.delete(key);
  }

  /** A participant who returns starts with the shared key; keys of its own are kept by the program. */
  participantLeft(identity: string): void {
    if (this.keys.isShared) this.keys.forget(identity);
  }

  close(): void {
    for (const { participantIdentity, trackSid } of [...this.#entries.values()]) {
      this.forgetTrack(participantIdentity, trackSid);
    }
  }

  #optionsOf(identity: string, trackSid: string, codec: FrameCodec) {
    return {
      keys: this.keys.ring(identity),
      codec,
      onStateChange: (state: EncryptionState) => this.#onStateChange(identity, trackSid, state),
    };
  }

  #add(participantIdentity: string, trackSid: string, cryptor: FrameEncryptor | FrameDecryptor): void {
    this.forgetTrack(participantIdentity, trackSid);
    cryptor.isEnabled = this.#isEnabled;
    this.#entries.set(keyOf(participantIdentity, trackSid), {
      participantIdentity,
      trackSid,
      cryptor,
      keyIndex: 0,
    });
  }

  #find(participantIdentity: string, trackSid: string | undefined): Entry[] {
    const found = [...this.#entries.values()].filter(
      (entry) =>
        entry.participantIdentity === participantIdentity && (!trackSid || entry.trackSid === trackSid),
    );
    if (found.length > 0) return found;
    throw new OffhookError(
      'OFFHOOK_INVALID_REQUEST',
      `${participantIdentity} has no encrypted track ${trackSid ?? ''}`,
    );
  }
}

function keyOf(identity: string, trackSid: string): string {
  return `${trackSid} ${identity}`;
}

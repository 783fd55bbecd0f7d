import {
  checkBytes,
  checkFlag,
  checkInteger,
  checkName,
  checkObject,
  checkOneOf,
  checkOptions,
  OffhookError,
} from '../errors/index.js';
import { type InitOf, protocol, type RequestOf, type ResponseOf } from '../ffi/index.js';
import type { LibraryEngine } from './engine.js';

/** How frame keys are made of keys; both ends need the same. */
export type KeyDerivation = 'pbkdf2' | 'hkdf';

/**
 * End-to-end encryption of a room: media and data, AES-128-GCM, as LiveKit's other clients have it. All
 * participants need the same keys, salt and derivation.
 */
export interface EncryptionOptions {
  /**
   * The key that all participants share: a passphrase, or bytes. Without it each participant has keys of its own, which
   * `Room.encryption.setParticipantKey` sets; nothing is sent before there is one for us.
   */
  key?: string | Uint8Array;
  /** Default `pbkdf2`, as LiveKit's clients derive the key of a passphrase. */
  derivation?: KeyDerivation;
  /** Default: that of all LiveKit clients. */
  ratchetSalt?: Uint8Array;
  /** How many successors of a key are tried when it cannot decrypt something; 0 to 256, default 16. */
  ratchetWindowSize?: number;
  /** Frames in a row that a key may fail to decrypt before it is no longer tried; default -1: any number. */
  failureTolerance?: number;
  /** Keys that a participant may have at once, 1 to 256; default 16. */
  keyRingSize?: number;
}

/** State of the encryption of what a participant sends. */
export type EncryptionState =
  | 'new'
  | 'ok'
  | 'encryptionFailed'
  | 'decryptionFailed'
  | 'missingKey'
  | 'keyRatcheted'
  | 'internalError';

/** A track that is sent or received encrypted. A snapshot. */
export interface EncryptedTrack {
  participantIdentity: string;
  trackSid: string;
  keyIndex: number;
  isEnabled: boolean;
}

const optionNames = [
  'key',
  'derivation',
  'ratchetSalt',
  'ratchetWindowSize',
  'failureTolerance',
  'keyRingSize',
] as const satisfies (keyof EncryptionOptions)[];
const defaultSalt = 'LKFrameEncryptionKey';
const maxKeyIndex = 255;

/** @internal */
type FfiEncryption = NonNullable<NonNullable<InitOf<RequestOf<'connect'>>['options']>['encryption']>;

/**
 * @throws OffhookError `OFFHOOK_INVALID_REQUEST` for an unknown option, or one out of its range
 * @internal
 */
export function ffiEncryption(options: EncryptionOptions): FfiEncryption {
  checkOptions('encryption', options, optionNames);
  const { key, derivation = 'pbkdf2', ratchetSalt, ratchetWindowSize = 16 } = options;
  const { failureTolerance = -1, keyRingSize = 16 } = options;
  checkOneOf('encryption.derivation', derivation, ['pbkdf2', 'hkdf']);
  const { PBKDF2, HKDF } = protocol.KeyDerivationFunction;
  return {
    encryptionType: protocol.EncryptionType.GCM,
    keyProviderOptions: {
      ...(key === undefined ? {} : { sharedKey: keyBytes('encryption.key', key) }),
      ratchetSalt:
        ratchetSalt === undefined
          ? new TextEncoder().encode(defaultSalt)
          : checkBytes('encryption.ratchetSalt', ratchetSalt),
      ratchetWindowSize: checkInteger('encryption.ratchetWindowSize', ratchetWindowSize, 0, 256),
      failureTolerance: checkInteger('encryption.failureTolerance', failureTolerance, -1, 2 ** 31 - 1),
      keyRingSize: checkInteger('encryption.keyRingSize', keyRingSize, 1, 256),
      keyDerivationFunction: derivation === 'hkdf' ? HKDF : PBKDF2,
    },
  } as FfiEncryption;
}

function keyBytes(what: string, key: string | Uint8Array): Uint8Array {
  return typeof key === 'string' ? new TextEncoder().encode(checkName(what, key)) : checkBytes(what, key);
}

const states: Record<number, EncryptionState> = {
  [protocol.EncryptionState.NEW]: 'new',
  [protocol.EncryptionState.OK]: 'ok',
  [protocol.EncryptionState.ENCRYPTION_FAILED]: 'encryptionFailed',
  [protocol.EncryptionState.DECRYPTION_FAILED]: 'decryptionFailed',
  [protocol.EncryptionState.MISSING_KEY]: 'missingKey',
  [protocol.EncryptionState.KEY_RATCHETED]: 'keyRatcheted',
};

/** @internal */
export function encryptionState(number: number | undefined): EncryptionState {
  return states[number ?? -1] ?? 'internalError';
}

/** @internal */
type Message = NonNullable<InitOf<RequestOf<'e2ee'>>['message']>;
/** @internal */
type Answer<Name extends Message['case']> = Extract<ResponseOf<'e2ee'>['message'], { case: Name }>['value'];

/** The keys of a room that was joined with `encryption`, and what is encrypted with them. */
export class RoomEncryption {
  readonly #engine: LibraryEngine;
  readonly #roomHandle: bigint;

  /** @internal */
  constructor(engine: LibraryEngine, roomHandle: bigint) {
    this.#engine = engine;
    this.#roomHandle = roomHandle;
  }

  /** When off, what is sent from now on is not encrypted, and what is received is taken as it is. */
  setEnabled(isEnabled: boolean): void {
    this.#ask('managerSetEnabled', { enabled: checkFlag('isEnabled', isEnabled) });
  }

  /**
   * Sets the key of everybody at an index. Tracks are encrypted with the key at index 0 until `setTrackKeyIndex` chooses another
   * one, data with the key that was set last.
   */
  setKey(key: string | Uint8Array, keyIndex = 0): void {
    this.#ask('setSharedKey', { sharedKey: keyBytes('the key', key), keyIndex: checkIndex(keyIndex) });
  }

  /** Undefined when there is none at that index. */
  key(keyIndex = 0): Uint8Array | undefined {
    return this.#ask('getSharedKey', { keyIndex: checkIndex(keyIndex) }).key;
  }

  /**
   * Replaces the key of everybody by its successor. Receivers find it by themselves, as far as their `ratchetWindowSize`
   * goes.
   */
  ratchetKey(keyIndex = 0): Uint8Array {
    return known(this.#ask('ratchetSharedKey', { keyIndex: checkIndex(keyIndex) }).newKey, keyIndex);
  }

  /** Sets a key of one participant, which may be ourselves, in a room without a key of everybody. */
  setParticipantKey(participantIdentity: string, key: string | Uint8Array, keyIndex = 0): void {
    this.#ask('setKey', {
      participantIdentity: checkName('the identity', participantIdentity),
      key: keyBytes('the key', key),
      keyIndex: checkIndex(keyIndex),
    });
  }

  /** Undefined when it has none at that index. */
  participantKey(participantIdentity: string, keyIndex = 0): Uint8Array | undefined {
    checkName('the identity', participantIdentity);
    return this.#ask('getKey', { participantIdentity, keyIndex: checkIndex(keyIndex) }).key;
  }

  /** As `ratchetKey`, of one participant. */
  ratchetParticipantKey(participantIdentity: string, keyIndex = 0): Uint8Array {
    checkName('the identity', participantIdentity);
    const { newKey } = this.#ask('ratchetKey', { participantIdentity, keyIndex: checkIndex(keyIndex) });
    return known(newKey, keyIndex);
  }

  /** The tracks that are sent or received encrypted at the moment. */
  get tracks(): EncryptedTrack[] {
    return this.#ask('managerGetFrameCryptors', {}).frameCryptors.map(
      ({ participantIdentity = '', trackSid = '', keyIndex = 0, enabled = false }) => ({
        participantIdentity,
        trackSid,
        keyIndex,
        isEnabled: enabled,
      }),
    );
  }

  /** As `setEnabled`, for one of `tracks`. */
  setTrackEnabled(track: EncryptedTrack, isEnabled: boolean): void {
    const enabled = checkFlag('isEnabled', isEnabled);
    this.#ask('cryptorSetEnabled', { ...checkTrack(track), enabled });
  }

  /** The key that a track of ours is encrypted with; 0 at first. What is received names its key itself. */
  setTrackKeyIndex(track: EncryptedTrack, keyIndex: number): void {
    this.#ask('cryptorSetKeyIndex', { ...checkTrack(track), keyIndex: checkIndex(keyIndex) });
  }

  #ask<Name extends NonNullable<Message['case']>>(
    name: Name,
    value: Extract<Message, { case: Name }>['value'],
  ): NonNullable<Answer<Name>> {
    const message = { case: name, value } as Message;
    const answer = this.#engine.request('e2ee', { roomHandle: this.#roomHandle, message });
    return answer.message.value as NonNullable<Answer<Name>>;
  }
}

function checkIndex(keyIndex: number): number {
  return checkInteger('the key index', keyIndex, 0, maxKeyIndex);
}

function checkTrack(track: EncryptedTrack): Pick<EncryptedTrack, 'participantIdentity' | 'trackSid'> {
  checkObject('the track', track);
  return {
    participantIdentity: checkName('participantIdentity', track.participantIdentity),
    trackSid: checkName('trackSid', track.trackSid),
  };
}

function known(key: Uint8Array | undefined, keyIndex: number): Uint8Array {
  if (key) return key;
  throw new OffhookError('OFFHOOK_INVALID_REQUEST', `there is no key ${keyIndex} to ratchet`);
}

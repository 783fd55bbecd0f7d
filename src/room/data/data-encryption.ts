import { type DataPacket, EncryptedPacket, EncryptedPacketPayload, Encryption_Type } from '@livekit/protocol';
import type { PacketContent, SealedTrackFrame } from '../../data/index.js';
import { DataCryptor, type EncryptedData, type EncryptionState } from '../../e2ee/index.js';
import { describeError, OffhookError } from '../../errors/index.js';
import { limits } from '../../limits.js';
import { createLogger, type Logger, type LogSubject } from '../../logging/index.js';
import type { EncryptionStateListener, RoomEncryption } from '../encryption.js';

const log = createLogger('room/data-encryption');

/** Packets that can be encrypted (EncryptedPacketPayload); the others go as they are, as from all LiveKit clients. */
const encryptable = new Set<PacketContent['case']>([
  'user',
  'chatMessage',
  'rpcRequest',
  'rpcAck',
  'rpcResponse',
  'streamHeader',
  'streamChunk',
  'streamTrailer',
]);

/** Encrypts and decrypts the content of data packets, without changing their order. */
export class DataEncryption {
  readonly #encryption: RoomEncryption;
  readonly #log: Logger;
  readonly #cryptor: DataCryptor;
  readonly #identity: () => string;
  readonly #onStateChange: EncryptionStateListener;
  #sealing: Promise<unknown> = Promise.resolve();
  /** By identity of the sender: what is being decrypted, after which the next packet is its turn. */
  readonly #opening = new Map<string, { last: Promise<void>; waiting: number }>();
  readonly #states = new Map<string, EncryptionState>();

  constructor(
    encryption: RoomEncryption,
    identity: () => string,
    onStateChange: EncryptionStateListener,
    subject: LogSubject,
  ) {
    this.#log = log.about(subject);
    this.#encryption = encryption;
    this.#cryptor = new DataCryptor(encryption.keys);
    this.#identity = identity;
    this.#onStateChange = onStateChange;
  }

  /** Whether what is sent now is encrypted. */
  get isSealing(): boolean {
    return this.#encryption.encryptsData;
  }

  /**
   * The content encrypted, or as it is where it is not to be, in the order of the calls.
   *
   * @throws OffhookError `OFFHOOK_INVALID_REQUEST` without a key
   */
  seal(content: PacketContent): Promise<PacketContent> {
    const sealed = this.#sealing.then(async (): Promise<PacketContent> => {
      if (!this.isSealing || !encryptable.has(content.case)) return content;
      const plain = new EncryptedPacketPayload({ value: content as EncryptedPacketPayload['value'] });
      const { payload, iv, keyIndex } = await this.#cryptor.encrypt(plain.toBinary(), this.#identity());
      const value = new EncryptedPacket({
        encryptionType: Encryption_Type.GCM,
        iv: new Uint8Array(iv),
        keyIndex,
        encryptedValue: new Uint8Array(payload),
      });
      return { case: 'encryptedPacket', value };
    });
    this.#sealing = sealed.catch(() => undefined);
    return sealed;
  }

  /** Calls `deliver` with the readable packet, after those that the same participant sent before; or drops it. */
  open(packet: DataPacket, deliver: (packet: DataPacket) => void): void {
    const { participantIdentity: identity } = packet;
    const queue = this.#opening.get(identity);
    if (packet.value.case !== 'encryptedPacket' && !queue) {
      deliver(packet);
      return;
    }
    const { last, waiting } = queue ?? { last: Promise.resolve(), waiting: 0 };
    if (waiting >= limits.undecryptedPackets.value) {
      this.#log.warn(
        `more than ${limits.undecryptedPackets.value} packets from ${identity} wait to be decrypted; one is dropped`,
      );
      return;
    }
    const entry = { last, waiting: waiting + 1 };
    entry.last = last.then(async () => {
      const readable = await this.#readable(packet);
      try {
        if (readable) deliver(readable);
      } catch (error) {
        this.#log.error(`a packet from ${identity} was lost: ${describeError(error)}`);
      }
      entry.waiting--;
      const current = this.#opening.get(identity);
      if (current === entry) this.#opening.delete(identity);
      else if (current) current.waiting--;
    });
    this.#opening.set(identity, entry);
  }

  /** A frame of a data track, encrypted. @throws OffhookError `OFFHOOK_INVALID_REQUEST` without a key */
  async sealFrame({ payload, userTimestamp }: SealedTrackFrame): Promise<SealedTrackFrame> {
    const { payload: sealed, ...encryption } = await this.#cryptor.encrypt(payload, this.#identity());
    return { payload: sealed, userTimestamp, encryption };
  }

  /** A frame of another participant's data track, readable; undefined for one that no key opens. */
  async openFrame(frame: SealedTrackFrame, identity: string): Promise<SealedTrackFrame | undefined> {
    const { payload, encryption, userTimestamp } = frame;
    if (!encryption) {
      this.#enter(identity, 'decryptionFailed');
      return undefined;
    }
    const { keyIndex, iv } = encryption;
    const sealed = { payload: Buffer.from(payload), iv: Buffer.from(iv), keyIndex };
    const opened = await this.#decrypt(sealed, identity, 'frame of a data track');
    return opened && { payload: opened, userTimestamp, encryption: undefined };
  }

  participantLeft(identity: string): void {
    this.#states.delete(identity);
  }

  async #readable(packet: DataPacket): Promise<DataPacket | undefined> {
    if (packet.value.case !== 'encryptedPacket') return packet;
    const { participantIdentity: identity } = packet;
    const { iv, keyIndex, encryptedValue } = packet.value.value;
    const sealed = { iv: Buffer.from(iv), keyIndex, payload: Buffer.from(encryptedValue) };
    const opened = await this.#decrypt(sealed, identity, 'packet');
    if (!opened) return undefined;
    try {
      const { value } = EncryptedPacketPayload.fromBinary(opened);
      if (value.case === 'streamHeader') value.value.encryptionType = Encryption_Type.GCM;
      const readable = packet.clone();
      readable.value = value;
      return readable;
    } catch (error) {
      this.#log.debug(`a packet from ${identity} is dropped: ${describeError(error)}`);
      return undefined;
    }
  }

  async #decrypt(sealed: EncryptedData, identity: string, what: string): Promise<Buffer | undefined> {
    try {
      const opened = await this.#cryptor.decrypt(sealed, identity);
      this.#enter(identity, 'ok');
      return opened;
    } catch (error) {
      const isMissing = error instanceof OffhookError && error.code === 'OFFHOOK_INVALID_REQUEST';
      this.#log.debug(`a ${what} from ${identity} is dropped: ${describeError(error)}`);
      this.#enter(identity, isMissing ? 'missingKey' : 'decryptionFailed');
      return undefined;
    }
  }

  #enter(identity: string, state: EncryptionState): void {
    if ((this.#states.get(identity) ?? 'ok') === state) return;
    this.#states.set(identity, state);
    this.#onStateChange(identity, undefined, state);
  }
}

import { createHash, randomBytes } from 'node:crypto';
import { OffhookError } from '../../errors/index.js';
import { limits, timerMs } from '../../limits.js';
import type { IcePath } from './ice-agent.js';
import {
  attributeOf,
  errorCodeOf,
  parseStun,
  parseXorAddress,
  type StunAttribute,
  type StunMessage,
  serializeStun,
  stunAttribute,
  stunMethod,
  type TransportAddress,
  xorAddress,
} from './stun.js';
import { StunTransactions } from './stun-transactions.js';
import type { PacketListener } from './udp-link.js';

export interface TurnClientOptions {
  username: string;
  credential: string;
  /** Sends to the server. */
  send: (message: Buffer) => void;
  /** Whether messages may be lost on the way, and are sent again while they are not answered. */
  lossy: boolean;
  onPacket: PacketListener;
  /** The allocation has gone; there are no more packets. */
  onLost: (error: OffhookError) => void;
}

/** Addresses are masked with the transaction's id, so attributes are made anew for each. */
type AttributesOf = (transactionId: Buffer) => StunAttribute[];

interface Channel {
  number: number;
  bound: boolean;
  path: IcePath;
}

const answerTimeoutMs = 5_000;
const resendIntervalMs = 500;
const resendAtMs = Array.from(
  { length: answerTimeoutMs / resendIntervalMs - 1 },
  (_, i) => (i + 1) * resendIntervalMs,
);
const udpTransport = 17;
const unauthorized = 401;
const staleNonce = 438;
const firstChannel = 0x4000;
/** Permissions last five minutes, which a channel's binding renews (RFC 8656, section 12). */
const rebindIntervalMs = 240_000;
const minRefreshMs = 30_000;
/** Of a server that does not say, or says it malformed (RFC 8656, section 7.2). */
const defaultLifetimeS = 600;

/** A TURN allocation (RFC 8656), whatever carries its messages to the server. */
export class TurnClient {
  #options: TurnClientOptions;
  #transactions: StunTransactions;
  #channels = new Map<number, Channel>();
  #auth: { realm: string; nonce: Buffer; key: Buffer } | undefined;
  #relayed: TransportAddress | undefined;
  #timers = new Set<NodeJS.Timeout>();
  #closed = false;

  constructor(options: TurnClientOptions) {
    this.#options = options;
    this.#transactions = new StunTransactions({
      send: options.send,
      resendAtMs: options.lossy ? resendAtMs : [],
      timeoutMs: answerTimeoutMs,
      name: 'the TURN server',
    });
  }

  /**
   * Asks the server for an address that relays to and from here.
   *
   * @throws OffhookError `OFFHOOK_TRANSPORT` when it refuses, `OFFHOOK_DEADLINE` when it is silent.
   */
  async allocate(): Promise<TransportAddress> {
    const response = await this.#request(stunMethod.allocate, () => [
      { type: stunAttribute.requestedTransport, value: Buffer.of(udpTransport, 0, 0, 0) },
    ]);
    const relayed = attributeOf(response, stunAttribute.xorRelayedAddress);
    const address = relayed && parseXorAddress(relayed, response.transactionId);
    if (!address) throw turnError('the answer bears no relayed address');
    this.#relayed = address;
    this.#refreshLater(response);
    return address;
  }

  /** A path from the relayed address to `remote`; what is sent before the server has bound it is dropped. */
  pathTo(remote: TransportAddress): IcePath {
    const number = firstChannel + this.#channels.size;
    const channel: Channel = {
      number,
      bound: false,
      path: {
        protocol: 'relay',
        local: this.#relayed!,
        remote,
        send: (packet) => {
          if (channel.bound && !this.#closed) this.#options.send(channelData(number, packet));
        },
      },
    };
    this.#channels.set(number, channel);
    this.#bind(channel);
    return channel.path;
  }

  /** Takes one message of the server: STUN or channel data. */
  receive(message: Buffer): void {
    if (this.#closed) return;
    if (message.length < 4) return;
    if (message[0]! >= 0x40) {
      const channel = this.#channels.get(message.readUInt16BE(0));
      const bytes = message.readUInt16BE(2);
      if (channel) this.#options.onPacket(channel.path, message.subarray(4, 4 + bytes));
      return;
    }
    const response = parseStun(message);
    if (response) this.#transactions.receive(response);
  }

  /**
   * Gives the allocation back.
   *
   * @param reason what those who wait for an answer are told
   */
  close(reason = new OffhookError('OFFHOOK_CLOSED', 'the TURN allocation was closed')): void {
    if (this.#closed) return;
    if (this.#relayed) this.#options.send(this.#signed(stunMethod.refresh, () => [lifetime(0)]).packet);
    this.#closed = true;
    for (const timer of this.#timers) clearTimeout(timer);
    this.#transactions.close(reason);
  }

  /** @throws OffhookError when the server refuses, for another reason than that it wants to know who asks, or is silent */
  async #request(method: number, attributesOf: AttributesOf): Promise<StunMessage> {
    let code: number | undefined;
    for (let attempt = 0; attempt < limits.turnAttempts.value; attempt++) {
      const isFirst = !this.#auth;
      const { transactionId, packet } = this.#signed(method, attributesOf);
      const response = await this.#transactions.request(transactionId, packet);
      if (response.class === 'success') return response;
      code = errorCodeOf(response);
      const realm = attributeOf(response, stunAttribute.realm);
      const nonce = attributeOf(response, stunAttribute.nonce);
      if (!realm || !nonce || !((code === unauthorized && isFirst) || code === staleNonce)) break;
      this.#authenticate(realm.toString(), Buffer.from(nonce));
    }
    throw turnError(`refused with code ${code}`);
  }

  #authenticate(realm: string, nonce: Buffer): void {
    const { username, credential } = this.#options;
    const key = createHash('md5').update(`${username}:${realm}:${credential}`).digest();
    this.#auth = { realm, nonce, key };
  }

  #signed(method: number, attributesOf: AttributesOf): { transactionId: Buffer; packet: Buffer } {
    const transactionId = randomBytes(12);
    const attributes = attributesOf(transactionId);
    const auth = this.#auth;
    if (auth) {
      attributes.push(
        { type: stunAttribute.username, value: Buffer.from(this.#options.username) },
        { type: stunAttribute.realm, value: Buffer.from(auth.realm) },
        { type: stunAttribute.nonce, value: auth.nonce },
      );
    }
    const packet = serializeStun({ class: 'request', method, transactionId, attributes }, auth?.key);
    return { transactionId, packet };
  }

  #bind(channel: Channel): void {
    const { number, path } = channel;
    this.#request(stunMethod.channelBind, (transactionId) => [
      { type: stunAttribute.channelNumber, value: Buffer.of(number >> 8, number & 0xff, 0, 0) },
      { type: stunAttribute.xorPeerAddress, value: xorAddress(path.remote, transactionId) },
    ]).then(
      () => {
        channel.bound = true;
        this.#later(() => this.#bind(channel), rebindIntervalMs);
      },
      // The server may not relay to every address; the checks on this path get no answer.
      () => {},
    );
  }

  #refreshLater(response: StunMessage): void {
    const value = attributeOf(response, stunAttribute.lifetime);
    const seconds = value?.length === 4 ? value.readUInt32BE() : defaultLifetimeS;
    this.#later(
      () => {
        this.#request(stunMethod.refresh, () => [lifetime(seconds)]).then(
          (refreshed) => this.#refreshLater(refreshed),
          (error: OffhookError) => {
            if (!this.#closed) this.#options.onLost(error);
          },
        );
      },
      Math.max(minRefreshMs, (seconds * 1000) / 2),
    );
  }

  #later(act: () => void, delayMs: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      act();
    }, timerMs(delayMs));
    timer.unref();
    this.#timers.add(timer);
  }
}

function lifetime(seconds: number): StunAttribute {
  const value = Buffer.alloc(4);
  value.writeUInt32BE(seconds);
  return { type: stunAttribute.lifetime, value };
}

/** Padded to four bytes, as a stream needs it and UDP allows it (RFC 8656, section 12.5). */
function channelData(number: number, packet: Buffer): Buffer {
  const message = Buffer.alloc(4 + ((packet.length + 3) & ~3));
  message.writeUInt16BE(number, 0);
  message.writeUInt16BE(packet.length, 2);
  packet.copy(message, 4);
  return message;
}

function turnError(what: string): OffhookError {
  return new OffhookError('OFFHOOK_TRANSPORT', `TURN: ${what}`);
}

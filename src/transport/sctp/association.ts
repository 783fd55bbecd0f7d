import { randomBytes } from 'node:crypto';
import { OffhookError } from '../../errors/index.js';
import { limits } from '../../limits.js';
import { packetChecksum } from './crc32c.js';
import { decodeInit, encodeInit, type InitParameters, type ReceivedInit } from './init-chunk.js';
import {
  chunk,
  chunkHeaderBytes,
  chunkType,
  dataFlag,
  dataHeaderBytes,
  PacketWriter,
  packetHeaderBytes,
  parameter,
  reflectedTagFlag,
} from './packet.js';
import { Receiver } from './receiver.js';
import { RetransmissionTimeout } from './retransmission-timeout.js';
import type { SendOptions } from './send-queue.js';
import { Sender, type SenderCounters } from './sender.js';
import { tsnPlus } from './serial.js';
import { StateCookies } from './state-cookie.js';
import { StreamReset } from './stream-reset.js';

/** Streams each way. */
export const maxStreams = limits.dataChannels.value;
/**
 * With the 37 bytes of a DTLS record (AES-GCM), 48 of UDP over IPv6 and 4 of a TURN channel this is 1277 bytes: below
 * the 1280 that any path of IPv6 carries.
 */
const defaultMaxPacketBytes = 1188;
/** ICE notices first when the path is gone, and finds another one; this ends what a living path does not answer. */
const giveUpAfterMs = 60_000;
/** A packet of the handshake is small: sending it often costs little, waiting costs the call. As for flights of DTLS. */
const maxHandshakeWaitMs = 400;

/** Error causes (RFC 9260 section 3.3.10). */
const cause = {
  invalidStream: 1,
  staleCookie: 3,
  outOfResource: 4,
  unrecognizedChunk: 6,
  noUserData: 9,
  userInitiatedAbort: 12,
  protocolViolation: 13,
  unrecognizedParameters: 8,
} as const;

export interface SctpAssociationOptions {
  /** 5000 where SDP says nothing else. */
  localPort: number;
  remotePort: number;
  /** The longest message taken from the peer, as `a=max-message-size` announces it. A longer one is dropped. */
  maxMessageBytes: number;
  /** The longest packet sent, without what DTLS adds. */
  maxPacketBytes?: number;
  /** What may be held of messages that are incomplete or wait for earlier ones. */
  windowBytes?: number;
  /** The first TSN that is sent; random by default. */
  initialTsn?: number;
  /** A packet to send; it is valid during the call only. */
  onPacket(packet: Buffer): void;
  onConnected?(): void;
  /** A message of the peer. The bytes are the receiver's. */
  onMessage(streamId: number, ppid: number, bytes: Buffer): void;
  /** The peer began the stream again: it has closed its direction of the channel. */
  onStreamReset?(streamId: number): void;
  /** The peer confirmed that `resetStream` has ended our direction; the stream may be used again. */
  onStreamClosed?(streamId: number): void;
  /** Fewer bytes of the stream wait to be sent than before. */
  onDrained?(streamId: number, queuedBytes: number): void;
  /** The peer ended the association, or it failed. Not called after `close`. */
  onClosed?(error?: OffhookError): void;
}

/** The states of RFC 9260 section 4. */
export type SctpState =
  | 'closed'
  | 'cookie wait'
  | 'cookie echoed'
  | 'established'
  | 'shutdown pending'
  | 'shutdown sent'
  | 'shutdown received'
  | 'shutdown ack sent'
  | 'ended';

export interface SctpCounters extends SenderCounters {
  /** Packets that were no SCTP, had a wrong checksum, or were not for this association. */
  invalidPackets: number;
  /** Chunks that broke the protocol or did not fit the state. */
  invalidChunks: number;
  /** DATA chunks dropped because there was no room. */
  droppedFragments: number;
}

/**
 * One SCTP association (RFC 9260) over DTLS (RFC 8261): bytes and time in, packets and messages out. Both ends may
 * start it. Fragmentation, ordered and unordered messages, partial reliability (RFC 3758), stream reset (RFC 6525),
 * no checksum where the peer agrees (RFC 9653); one path, no interleaving.
 */
export class SctpAssociation {
  readonly #options: SctpAssociationOptions;
  readonly #writer: PacketWriter;
  readonly #timeout = new RetransmissionTimeout();
  readonly #own: InitParameters;
  readonly #sender: Sender;
  #cookies: StateCookies | undefined;
  #state: SctpState = 'closed';
  #peer: InitParameters | undefined;
  #receiver: Receiver | undefined;
  readonly #reset: StreamReset;
  /** Chunks that wait for the next packet. */
  #control: Buffer[] = [];
  /** INIT or COOKIE ECHO, until it is answered. */
  #handshake:
    | { chunk: Buffer; attempts: number; sinceMs: number; sentAtMs: number; waitMs: number }
    | undefined;
  #handshakeDueMs: number | undefined;
  #shutdownDueMs: number | undefined;
  #shutdownSinceMs = 0;
  #isFlushing = false;
  #isBatching = false;
  /** A fragment of the packet being handled asks to be acknowledged at once. */
  #isSackAskedFor = false;
  #invalidPackets = 0;
  #invalidChunks = 0;

  constructor(options: SctpAssociationOptions) {
    this.#options = options;
    const maxPacketBytes = options.maxPacketBytes ?? defaultMaxPacketBytes;
    this.#writer = new PacketWriter(maxPacketBytes);
    const random = randomBytes(8);
    this.#own = {
      // Never 0: that is the tag of packets with INIT.
      tag: random.readUInt32BE(0) || 1,
      windowBytes: options.windowBytes ?? limits.sctpWindow.value,
      outboundStreams: maxStreams,
      inboundStreams: maxStreams,
      initialTsn: options.initialTsn ?? random.readUInt32BE(4),
      forwardTsn: true,
      reconfig: true,
      zeroChecksum: true,
    };
    this.#sender = new Sender({ initialTsn: this.#own.initialTsn, maxPacketBytes, timeout: this.#timeout });
    this.#reset = new StreamReset({
      localInitialTsn: this.#own.initialTsn,
      onIncomingReset: (streamIds) => this.#handleIncomingReset(streamIds),
      onOutgoingReset: (streamId) => {
        this.#sender.queue.forget(streamId);
        if (this.#state !== 'ended') this.#options.onStreamClosed?.(streamId);
      },
    });
  }

  get state(): SctpState {
    return this.#state;
  }

  get counters(): SctpCounters {
    return {
      ...this.#sender.counters,
      invalidPackets: this.#invalidPackets,
      invalidChunks: this.#invalidChunks,
      droppedFragments: this.#receiver?.droppedCount ?? 0,
    };
  }

  /** The smoothed round trip, once measured. */
  get roundTripMs(): number | undefined {
    return this.#timeout.smoothedMs;
  }

  /** Bytes handed to `send` that were not sent for the first time. */
  get queuedBytes(): number {
    return this.#sender.queue.queuedBytes;
  }

  queuedBytesOf(streamId: number): number {
    return this.#sender.queue.queuedBytesOf(streamId);
  }

  /** Bytes held of messages that are incomplete or wait for earlier ones. */
  get heldBytes(): number {
    return this.#receiver?.reassembly.heldBytes ?? 0;
  }

  /**
   * Says how many bytes of delivered messages are not dealt with yet. They take from the window of the peer, which
   * slows down and, without any left, waits.
   */
  withhold(bytes: number, nowMs: number): void {
    const receiver = this.#receiver;
    if (receiver === undefined || this.#state === 'ended') return;
    const before = receiver.windowBytes;
    receiver.withheldBytes = bytes;
    // The peer may be waiting: only a SACK ends that.
    const half = this.#own.windowBytes / 2;
    if (before >= half || receiver.windowBytes < half) return;
    receiver.announceWindow(nowMs);
    this.#flush(nowMs);
  }

  /** When `handleTimeout` is to be called, on the clock of `nowMs`. */
  get nextTimeoutMs(): number | undefined {
    let next = Number.POSITIVE_INFINITY;
    if (this.#handshakeDueMs !== undefined) next = Math.min(next, this.#handshakeDueMs);
    if (this.#sender.timeoutDueMs !== undefined) next = Math.min(next, this.#sender.timeoutDueMs);
    if (this.#sender.probeDueMs !== undefined) next = Math.min(next, this.#sender.probeDueMs);
    if (this.#receiver?.sackDueMs !== undefined) next = Math.min(next, this.#receiver.sackDueMs);
    if (this.#reset.requestDueMs !== undefined) next = Math.min(next, this.#reset.requestDueMs);
    if (this.#shutdownDueMs !== undefined) next = Math.min(next, this.#shutdownDueMs);
    return next === Number.POSITIVE_INFINITY ? undefined : next;
  }

  /** The round trip that ICE measured: the first retransmissions wait three times as long. */
  setRoundTripMs(roundTripMs: number): void {
    this.#timeout.seed(roundTripMs);
  }

  /** Begins the handshake. Both ends may, at once. */
  start(nowMs: number): void {
    if (this.#state !== 'closed') return;
    this.#state = 'cookie wait';
    this.#beginHandshake(chunk(chunkType.init, 0, encodeInit(this.#own)), nowMs);
  }

  /**
   * Queues a message and sends what may be sent. The bytes are not copied: they must not change until the message is
   * acknowledged. Messages that are sent before the association is up wait. Throws `OFFHOOK_INVALID_REQUEST` for an
   * empty message, which SCTP does not have, and for a stream that does not exist.
   */
  send(streamId: number, ppid: number, bytes: Uint8Array, options: SendOptions, nowMs: number): void {
    if (bytes.length === 0 || !(streamId >= 0 && streamId < this.#streamCount))
      throw new OffhookError(
        'OFFHOOK_INVALID_REQUEST',
        bytes.length === 0 ? 'an SCTP message cannot be empty' : `the association has no stream ${streamId}`,
      );
    if (!this.#isOpenForSending) throw closed();
    this.#sender.queue.add(streamId, ppid, bytes, options, nowMs);
    this.#flush(nowMs);
  }

  /** Runs `body`; what it sends shares packets. */
  batch(body: () => void, nowMs: number): void {
    if (this.#isBatching) {
      body();
      return;
    }
    this.#isBatching = true;
    try {
      body();
    } finally {
      this.#isBatching = false;
      this.#flush(nowMs);
    }
  }

  /** Ends our direction of a stream when all of its messages were sent; `onStreamClosed` follows. */
  resetStream(streamId: number, nowMs: number): void {
    if (this.#state === 'ended' || this.#reset.isResetting(streamId)) return;
    if (this.#peer !== undefined && !this.#peer.reconfig) {
      this.#options.onStreamClosed?.(streamId);
      return;
    }
    this.#reset.want(streamId);
    this.#flush(nowMs);
  }

  /** Ends the association once everything that was sent has been acknowledged; `onClosed` follows. */
  shutdown(nowMs: number): void {
    if (this.#state === 'established') {
      this.#state = 'shutdown pending';
      this.#shutdownSinceMs = nowMs;
      this.#flush(nowMs);
    } else if (!isClosing(this.#state)) this.close();
  }

  /** Ends the association at once, tells the peer, and calls nothing afterwards. */
  close(): void {
    if (this.#state === 'ended') return;
    const isKnown = this.#peer !== undefined && this.#state !== 'closed';
    this.#end();
    if (isKnown)
      this.#sendAlone(chunk(chunkType.abort, 0, parameter(cause.userInitiatedAbort, Buffer.alloc(0))));
  }

  handleTimeout(nowMs: number): void {
    if (this.#state === 'ended') return;
    if (this.#handshakeDueMs !== undefined && nowMs >= this.#handshakeDueMs) this.#repeatHandshake(nowMs);
    this.#sender.handleTimeout(nowMs);
    const { unansweredSinceMs } = this.#sender;
    if (unansweredSinceMs !== undefined && nowMs - unansweredSinceMs > giveUpAfterMs) {
      this.#fail('the peer does not acknowledge data', nowMs - unansweredSinceMs);
      return;
    }
    if (this.#shutdownDueMs !== undefined && nowMs >= this.#shutdownDueMs) {
      if (nowMs - this.#shutdownSinceMs > giveUpAfterMs) {
        this.#fail('the peer does not answer the end of the association', nowMs - this.#shutdownSinceMs);
        return;
      }
      this.#timeout.backOff();
      this.#queueShutdown(nowMs);
    }
    this.#flush(nowMs);
  }

  /**
   * Takes a packet from DTLS. Anything may be in it: what is not valid is counted and has no effect, or ends the
   * association where the protocol asks for that. Runs once for each packet received.
   */
  handlePacket(packet: Buffer, nowMs: number): void {
    if (this.#state === 'ended') return;
    if (!this.#isForUs(packet)) {
      this.#invalidPackets++;
      return;
    }
    // Answers given during callbacks leave together with the acknowledgement.
    const wasBatching = this.#isBatching;
    this.#isBatching = true;
    try {
      this.#handleChunks(packet, nowMs);
    } finally {
      // A callback that throws costs the chunks behind it, which the peer sends again.
      this.#endPacket(nowMs);
      this.#isBatching = wasBatching;
      this.#flush(nowMs);
    }
  }

  #isForUs(packet: Buffer): boolean {
    if (packet.length < packetHeaderBytes + chunkHeaderBytes) return false;
    if (
      packet.readUInt16BE(0) !== this.#options.remotePort ||
      packet.readUInt16BE(2) !== this.#options.localPort
    )
      return false;
    const type = packet[packetHeaderBytes]!;
    const isReflected =
      (type === chunkType.abort || type === chunkType.shutdownComplete) &&
      (packet[packetHeaderBytes + 1]! & reflectedTagFlag) !== 0;
    const expectedTag =
      type === chunkType.init ? 0 : isReflected ? (this.#peer?.tag ?? this.#own.tag) : this.#own.tag;
    if (packet.readUInt32BE(4) !== expectedTag) return false;
    const checksum = packet.readUInt32LE(8);
    // RFC 9653 section 5.3; DTLS has authenticated the packet.
    if (checksum === 0 && type !== chunkType.init) return true;
    return checksum === packetChecksum(packet);
  }

  #handleChunks(packet: Buffer, nowMs: number): void {
    this.#isSackAskedFor = false;
    let at = packetHeaderBytes;
    while (at + chunkHeaderBytes <= packet.length && this.#state !== 'ended') {
      const type = packet[at]!;
      const flags = packet[at + 1]!;
      const length = packet.readUInt16BE(at + 2);
      const end = at + length;
      if (length < chunkHeaderBytes || end > packet.length) {
        this.#invalidChunks++;
        break;
      }
      if (type === chunkType.data) {
        if (flags & dataFlag.immediate) this.#isSackAskedFor = true;
        this.#handleData(packet, at, end, flags);
      } else if (type === chunkType.sack) this.#handleSack(packet, at + chunkHeaderBytes, end, nowMs);
      else if (!this.#handleControl(type, flags, packet.subarray(at + chunkHeaderBytes, end), nowMs)) break;
      at += (length + 3) & ~3;
    }
  }

  #endPacket(nowMs: number): void {
    const receiver = this.#receiver;
    if (receiver === undefined || this.#state === 'ended') return;
    receiver.endPacket(this.#isSackAskedFor, nowMs);
    const answer = this.#reset.advance(receiver.cumulativeTsn);
    if (answer !== undefined) this.#control.push(answer);
  }

  #handleData(packet: Buffer, at: number, end: number, flags: number): void {
    // Who sends data has our cookie: the answer to it was lost.
    if (this.#state === 'cookie echoed') this.#establish();
    const receiver = this.#receiver;
    if (receiver === undefined || !this.#takesData || end - at < dataHeaderBytes) {
      this.#invalidChunks++;
      return;
    }
    const tsn = packet.readUInt32BE(at + 4);
    if (end - at === dataHeaderBytes) {
      const value = Buffer.alloc(4);
      value.writeUInt32BE(tsn);
      this.#abort(cause.noUserData, value, 'the peer sent a fragment without data');
      return;
    }
    const streamId = packet.readUInt16BE(at + 8);
    if (streamId >= maxStreams) {
      this.#invalidChunks++;
      receiver.discard(tsn);
      const value = Buffer.alloc(4);
      value.writeUInt16BE(streamId);
      this.#report(cause.invalidStream, value);
      return;
    }
    const outcome = receiver.data(
      tsn,
      flags,
      streamId,
      packet.readUInt16BE(at + 10),
      packet.readUInt32BE(at + 12),
      packet.subarray(at + dataHeaderBytes, end),
    );
    if (outcome === 'overrun')
      this.#abort(cause.outOfResource, Buffer.alloc(0), 'the peer left too many messages incomplete');
  }

  #handleSack(packet: Buffer, at: number, end: number, nowMs: number): void {
    if (this.#receiver === undefined || !this.#sender.handleSack(packet, at, end, nowMs))
      this.#invalidChunks++;
  }

  /** Handles any other chunk; false when the rest of the packet is not to be looked at. */
  #handleControl(type: number, flags: number, body: Buffer, nowMs: number): boolean {
    switch (type) {
      case chunkType.init:
        this.#handleInit(body, nowMs);
        return false;
      case chunkType.initAck:
        this.#handleInitAck(body, nowMs);
        return false;
      case chunkType.cookieEcho:
        return this.#handleCookieEcho(body, nowMs);
      case chunkType.cookieAck:
        if (this.#state === 'cookie echoed') this.#establish();
        return true;
      case chunkType.heartbeat:
        if (this.#peer !== undefined && this.#control.length < limits.sctpAnswers.value)
          this.#control.push(chunk(chunkType.heartbeatAck, 0, body));
        return true;
      case chunkType.heartbeatAck:
        return true;
      case chunkType.error:
        this.#handleError(body, nowMs);
        return true;
      case chunkType.abort:
        this.#end();
        this.#options.onClosed?.(
          new OffhookError('OFFHOOK_TRANSPORT', 'the peer aborted the SCTP association'),
        );
        return false;
      case chunkType.shutdown:
      case chunkType.shutdownAck:
      case chunkType.shutdownComplete:
        this.#handleShutdown(type, body, nowMs);
        return true;
      case chunkType.forwardTsn:
        this.#handleForwardTsn(body);
        return true;
      case chunkType.reconfig:
        this.#handleReconfig(body);
        return true;
      default:
        return this.#handleUnknown(type, flags, body);
    }
  }

  // The handshake.

  #handleInit(body: Buffer, nowMs: number): void {
    const init = decodeInit(body);
    // Once up, an INIT is late: whoever is up has our tag, and the handshake needs no more of it.
    const isExpected =
      this.#state === 'closed' || this.#state === 'cookie wait' || this.#state === 'cookie echoed';
    if (init === undefined || !isExpected) {
      this.#invalidChunks++;
      return;
    }
    this.#cookies ??= new StateCookies();
    const cookie = this.#cookies.seal({ localTag: this.#own.tag, peer: init }, nowMs);
    this.#sendAlone(chunk(chunkType.initAck, 0, encodeInit(this.#own, cookie, init.unrecognized)), init.tag);
  }

  #handleInitAck(body: Buffer, nowMs: number): void {
    if (this.#state !== 'cookie wait') return;
    const init = decodeInit(body);
    if (
      init?.cookie === undefined ||
      init.cookie.length + chunkHeaderBytes + packetHeaderBytes > this.#maxPacketBytes
    ) {
      this.#invalidChunks++;
      return;
    }
    this.#setPeer(init);
    this.#state = 'cookie echoed';
    const { attempts, sentAtMs } = this.#handshake!;
    if (attempts === 1) this.#timeout.addSample(nowMs - sentAtMs);
    if (init.unrecognized.length > 0)
      this.#report(cause.unrecognizedParameters, Buffer.concat(init.unrecognized.map(padded)));
    this.#beginHandshake(chunk(chunkType.cookieEcho, 0, init.cookie), nowMs);
  }

  #handleCookieEcho(body: Buffer, nowMs: number): boolean {
    const content = this.#cookies?.open(body, nowMs);
    if (content === undefined || content.localTag !== this.#own.tag) {
      this.#invalidChunks++;
      return false;
    }
    if (content.isStale) {
      this.#sendAlone(
        chunk(chunkType.error, 0, parameter(cause.staleCookie, Buffer.alloc(4))),
        content.peer.tag,
      );
      return false;
    }
    if (this.#receiver !== undefined && this.#peer!.tag !== content.peer.tag) {
      // The peer began again. Over DTLS it does that with a new connection.
      this.#invalidChunks++;
      return false;
    }
    if (this.#receiver === undefined || this.#state === 'cookie echoed') {
      if (this.#receiver === undefined) this.#setPeer(content.peer);
      this.#control.push(chunk(chunkType.cookieAck, 0));
      this.#establish();
    } else this.#control.push(chunk(chunkType.cookieAck, 0));
    return true;
  }

  #setPeer(init: InitParameters | ReceivedInit): void {
    this.#peer = {
      tag: init.tag,
      windowBytes: init.windowBytes,
      outboundStreams: init.outboundStreams,
      inboundStreams: init.inboundStreams,
      initialTsn: init.initialTsn,
      forwardTsn: init.forwardTsn,
      reconfig: init.reconfig,
      zeroChecksum: init.zeroChecksum,
    };
    this.#receiver = new Receiver({
      initialTsn: init.initialTsn,
      windowBytes: this.#own.windowBytes,
      maxMessageBytes: this.#options.maxMessageBytes,
      onMessage: (streamId, ppid, bytes) => {
        if (this.#state !== 'ended') this.#options.onMessage(streamId, ppid, bytes);
      },
    });
    this.#sender.start(init.windowBytes, init.forwardTsn);
    this.#reset.start(init.initialTsn);
  }

  #beginHandshake(first: Buffer, nowMs: number): void {
    this.#handshake = {
      chunk: first,
      attempts: 0,
      sinceMs: this.#handshake?.sinceMs ?? nowMs,
      sentAtMs: nowMs,
      waitMs: this.#timeout.valueMs,
    };
    this.#repeatHandshake(nowMs);
  }

  #repeatHandshake(nowMs: number): void {
    const handshake = this.#handshake!;
    if (nowMs - handshake.sinceMs > giveUpAfterMs) {
      this.#fail('the peer does not answer the SCTP handshake', nowMs - handshake.sinceMs);
      return;
    }
    if (handshake.attempts++ > 0)
      handshake.waitMs = Math.max(handshake.waitMs, Math.min(2 * handshake.waitMs, maxHandshakeWaitMs));
    handshake.sentAtMs = nowMs;
    this.#handshakeDueMs = nowMs + handshake.waitMs;
    this.#sendAlone(handshake.chunk, this.#state === 'cookie wait' ? 0 : undefined);
  }

  #establish(): void {
    this.#handshake = undefined;
    this.#handshakeDueMs = undefined;
    this.#state = 'established';
    this.#options.onConnected?.();
  }

  // Ending.

  #handleShutdown(type: number, body: Buffer, nowMs: number): void {
    if (this.#receiver === undefined) return;
    if (type === chunkType.shutdownComplete) {
      if (this.#state !== 'shutdown ack sent') return;
      this.#end();
      this.#options.onClosed?.();
      return;
    }
    if (type === chunkType.shutdownAck) {
      if (this.#state !== 'shutdown sent' && this.#state !== 'shutdown ack sent') return;
      this.#end();
      this.#sendAlone(chunk(chunkType.shutdownComplete, 0));
      this.#options.onClosed?.();
      return;
    }
    if (body.length >= 4) {
      // A SHUTDOWN acknowledges as a SACK without gaps does.
      const sack = Buffer.alloc(12);
      body.copy(sack, 0, 0, 4);
      sack.writeUInt32BE(this.#peer!.windowBytes, 4);
      this.#sender.handleSack(sack, 0, 12, nowMs);
    }
    if (this.#state === 'shutdown sent') {
      this.#state = 'shutdown ack sent';
      this.#queueShutdown(nowMs);
    } else if (this.#state === 'established' || this.#state === 'shutdown pending') {
      this.#state = 'shutdown received';
      this.#shutdownSinceMs = nowMs;
    } else if (this.#state === 'shutdown ack sent') this.#queueShutdown(nowMs);
  }

  /** Goes on to the next step of the shutdown once everything was acknowledged. */
  #advanceShutdown(nowMs: number): void {
    if (!this.#sender.isDone) return;
    if (this.#state === 'shutdown pending') {
      this.#state = 'shutdown sent';
      this.#queueShutdown(nowMs);
    } else if (this.#state === 'shutdown received') {
      this.#state = 'shutdown ack sent';
      this.#queueShutdown(nowMs);
    }
  }

  #queueShutdown(nowMs: number): void {
    this.#shutdownDueMs = nowMs + this.#timeout.valueMs;
    if (this.#state === 'shutdown ack sent') {
      this.#control.push(chunk(chunkType.shutdownAck, 0));
      return;
    }
    const value = Buffer.alloc(4);
    value.writeUInt32BE(this.#receiver!.cumulativeTsn);
    this.#control.push(chunk(chunkType.shutdown, 0, value));
  }

  #abort(causeCode: number, value: Buffer, reason: string): void {
    this.#end();
    this.#sendAlone(chunk(chunkType.abort, 0, parameter(causeCode, value)));
    this.#options.onClosed?.(
      new OffhookError('OFFHOOK_PROTOCOL', `${reason}; the SCTP association is aborted`),
    );
  }

  #fail(reason: string, elapsedMs: number): void {
    this.#end();
    if (this.#peer !== undefined) this.#sendAlone(chunk(chunkType.abort, 0));
    this.#options.onClosed?.(new OffhookError('OFFHOOK_DEADLINE', reason, { elapsedMs }));
  }

  #end(): void {
    this.#state = 'ended';
    this.#handshakeDueMs = undefined;
    this.#shutdownDueMs = undefined;
    this.#sender.stopTimers();
    if (this.#receiver !== undefined) this.#receiver.sackDueMs = undefined;
    this.#reset.requestDueMs = undefined;
    this.#control = [];
  }

  // Everything else.

  #handleError(body: Buffer, nowMs: number): void {
    const isStale = body.length >= 2 && body.readUInt16BE(0) === cause.staleCookie;
    if (!isStale || this.#state !== 'cookie echoed') return;
    this.#state = 'cookie wait';
    this.#peer = undefined;
    this.#receiver = undefined;
    this.#beginHandshake(chunk(chunkType.init, 0, encodeInit(this.#own)), nowMs);
  }

  #handleForwardTsn(body: Buffer): void {
    if (this.#receiver === undefined || !this.#takesData || body.length < 4) {
      this.#invalidChunks++;
      return;
    }
    const skipped: { streamId: number; ssn: number }[] = [];
    for (let at = 4; at + 4 <= body.length; at += 4) {
      const streamId = body.readUInt16BE(at);
      if (streamId < maxStreams) skipped.push({ streamId, ssn: body.readUInt16BE(at + 2) });
    }
    this.#receiver.forward(body.readUInt32BE(0), skipped);
  }

  #handleReconfig(body: Buffer): void {
    if (this.#receiver === undefined) return;
    for (const answer of this.#reset.handle(body, this.#receiver.cumulativeTsn))
      if (this.#control.length < limits.sctpAnswers.value) this.#control.push(answer);
  }

  #handleIncomingReset(streamIds: readonly number[] | undefined): void {
    for (const streamId of streamIds ?? Array(maxStreams).keys()) {
      this.#receiver!.reassembly.resetStream(streamId);
      if (this.#state !== 'ended') this.#options.onStreamReset?.(streamId);
    }
  }

  #handleUnknown(type: number, flags: number, body: Buffer): boolean {
    this.#invalidChunks++;
    // The two highest bits say what to do with an unknown chunk: go on or stop, report it or not.
    if (type & 0x40) this.#report(cause.unrecognizedChunk, chunk(type, flags, body.subarray(0, 64)));
    return (type & 0x80) !== 0;
  }

  #report(causeCode: number, value: Buffer): void {
    if (this.#peer === undefined || this.#control.length >= limits.sctpAnswers.value) return;
    this.#control.push(chunk(chunkType.error, 0, parameter(causeCode, value)));
  }

  get #streamCount(): number {
    return this.#peer === undefined ? maxStreams : Math.min(maxStreams, this.#peer.inboundStreams);
  }

  get #isOpenForSending(): boolean {
    return this.#state !== 'ended' && !isClosing(this.#state);
  }

  get #takesData(): boolean {
    return (
      this.#state === 'established' || this.#state === 'shutdown pending' || this.#state === 'shutdown sent'
    );
  }

  get #sendsData(): boolean {
    return (
      this.#state === 'established' ||
      this.#state === 'shutdown pending' ||
      this.#state === 'shutdown received'
    );
  }

  get #maxPacketBytes(): number {
    return this.#options.maxPacketBytes ?? defaultMaxPacketBytes;
  }

  /** Sends all packets that there is something for and room on the path. */
  #flush(nowMs: number): void {
    if (this.#isFlushing || this.#isBatching) return;
    this.#isFlushing = true;
    try {
      while (this.#peer !== undefined && this.#receiver !== undefined && this.#state !== 'ended') {
        this.#begin(this.#peer.tag);
        this.#fillPacket(nowMs);
        if (this.#writer.isEmpty) break;
        this.#emit(!this.#peer.zeroChecksum);
        this.#notifyDrained();
        if (isClosing(this.#state)) this.#advanceShutdown(nowMs);
      }
    } finally {
      this.#isFlushing = false;
    }
  }

  #fillPacket(nowMs: number): void {
    const writer = this.#writer;
    const receiver = this.#receiver!;
    if (isClosing(this.#state)) this.#advanceShutdown(nowMs);
    this.#fillControl();
    if (receiver.sackDueMs !== undefined && (nowMs >= receiver.sackDueMs || this.#willSendData(nowMs)))
      receiver.writeSack(writer);
    if (!this.#sendsData) return;
    const request = this.#reset.request(
      (streamId) => !this.#sender.queue.hasMessages(streamId),
      tsnPlus(this.#sender.flight.nextTsn, -1),
      this.#timeout.valueMs,
      nowMs,
    );
    if (request !== undefined) this.#control.push(request);
    this.#sender.fill(writer, nowMs);
    this.#fillControl();
  }

  #willSendData(nowMs: number): boolean {
    return this.#sendsData && this.#sender.hasWork(nowMs);
  }

  #fillControl(): void {
    while (this.#control.length > 0 && this.#control[0]!.length <= this.#writer.roomBytes)
      this.#addChunk(this.#control.shift()!);
    // A chunk that no packet holds.
    if (this.#writer.isEmpty && this.#control.length > 0) this.#control.shift();
  }

  #notifyDrained(): void {
    const { drained } = this.#sender.queue;
    if (drained.size === 0) return;
    const streamIds = [...drained];
    drained.clear();
    for (const streamId of streamIds) this.#options.onDrained?.(streamId, this.queuedBytesOf(streamId));
  }

  #begin(tag: number): void {
    this.#writer.begin(this.#options.localPort, this.#options.remotePort, tag);
  }

  #addChunk(bytes: Buffer): void {
    const at = this.#writer.add(bytes[0]!, bytes[1]!, bytes.length - chunkHeaderBytes);
    this.#writer.buffer.set(bytes.subarray(chunkHeaderBytes), at);
  }

  /** Sends a packet of one chunk, with a checksum: the handshake needs one, and an end is rare. */
  #sendAlone(bytes: Buffer, tag = this.#peer?.tag ?? 0): void {
    this.#begin(tag);
    this.#addChunk(bytes);
    this.#emit(true);
  }

  #emit(withChecksum: boolean): void {
    this.#options.onPacket(this.#writer.finish(withChecksum));
  }
}

function isClosing(state: SctpState): boolean {
  return state.startsWith('shutdown');
}

function padded(bytes: Buffer): Buffer {
  return Buffer.concat([bytes, Buffer.alloc(-bytes.length & 3)]);
}

function closed(): OffhookError {
  return new OffhookError('OFFHOOK_CLOSED', 'The SCTP association has ended');
}

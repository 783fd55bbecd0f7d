import { chunk, chunkType, parameter, readParameters } from './packet.js';
import { tsnBefore, tsnPlus } from './serial.js';

/** Parameters of RE-CONFIG (RFC 6525 section 4). */
const parameterType = { outgoingReset: 13, incomingReset: 14, response: 16 } as const;

/** Results of a request (RFC 6525 section 4.4). */
const result = {
  nothingToDo: 0,
  performed: 1,
  denied: 2,
  badSequenceNumber: 5,
  inProgress: 6,
} as const;

/** Streams named in one request: as many as fit into a packet with room to spare. */
const maxStreamsInRequest = 200;

export interface StreamResetOptions {
  /** Requests are counted from the initial TSN of their sender (RFC 6525 section 5.1). */
  localInitialTsn: number;
  /** Called for each stream that the peer started again; undefined stands for all. */
  onIncomingReset(streamIds: readonly number[] | undefined): void;
  /** The peer has heard that the stream starts again. */
  onOutgoingReset(streamId: number): void;
}

/**
 * Stream reconfiguration (RFC 6525) as data channels use it: each end resets the streams that it sends on. One request
 * of ours is under way at a time.
 */
export class StreamReset {
  readonly #options: StreamResetOptions;
  /** Streams to reset as soon as they have nothing more to send. */
  readonly #wanted = new Set<number>();
  #sequenceNumber: number;
  #request: { sequenceNumber: number; lastTsn: number; streamIds: number[] } | undefined;
  /** The next request that the peer may make. */
  #expectedSequenceNumber = 0;
  /** The peer's request that waits for data before it. */
  #deferred: { lastTsn: number; streamIds: number[] } | undefined;
  #lastResult: number = result.nothingToDo;
  requestDueMs: number | undefined;

  constructor(options: StreamResetOptions) {
    this.#options = options;
    this.#sequenceNumber = options.localInitialTsn;
  }

  start(remoteInitialTsn: number): void {
    this.#expectedSequenceNumber = remoteInitialTsn;
  }

  want(streamId: number): void {
    this.#wanted.add(streamId);
  }

  /** Whether a reset of the stream has been asked for and is not confirmed. */
  isResetting(streamId: number): boolean {
    return this.#wanted.has(streamId) || (this.#request?.streamIds.includes(streamId) ?? false);
  }

  /**
   * The RE-CONFIG chunk to send now, if any: a new request when none is under way and one of the wanted streams has
   * nothing left to send, or the same request after a timeout.
   */
  request(
    canReset: (streamId: number) => boolean,
    lastAssignedTsn: number,
    timeoutMs: number,
    nowMs: number,
  ): Buffer | undefined {
    if (this.#request === undefined) {
      if (this.#wanted.size === 0) return undefined;
      const streamIds = [...this.#wanted].filter(canReset).slice(0, maxStreamsInRequest);
      if (streamIds.length === 0) return undefined;
      for (const streamId of streamIds) this.#wanted.delete(streamId);
      this.#request = { sequenceNumber: this.#sequenceNumber, lastTsn: lastAssignedTsn, streamIds };
      this.#sequenceNumber = tsnPlus(this.#sequenceNumber, 1);
    } else if (this.requestDueMs === undefined || nowMs < this.requestDueMs) return undefined;
    this.requestDueMs = nowMs + timeoutMs;
    const { sequenceNumber, lastTsn, streamIds } = this.#request;
    const value = Buffer.alloc(12 + 2 * streamIds.length);
    value.writeUInt32BE(sequenceNumber, 0);
    value.writeUInt32BE(tsnPlus(this.#expectedSequenceNumber, -1), 4);
    value.writeUInt32BE(lastTsn, 8);
    for (const [i, streamId] of streamIds.entries()) value.writeUInt16BE(streamId, 12 + 2 * i);
    return chunk(chunkType.reconfig, 0, parameter(parameterType.outgoingReset, value));
  }

  /** Handles the body of a RE-CONFIG chunk; returns the chunks that answer it. */
  handle(body: Buffer, cumulativeTsn: number): Buffer[] {
    const responses: Buffer[] = [];
    readParameters(body, (type, value) => {
      if (type === parameterType.outgoingReset && value.length >= 12)
        responses.push(this.#handleOutgoingReset(value, cumulativeTsn));
      else if (type === parameterType.incomingReset && value.length >= 4)
        responses.push(this.#handleIncomingReset(value));
      else if (type === parameterType.response && value.length >= 8)
        this.#handleResponse(value.readUInt32BE(0), value.readUInt32BE(4));
      return responses.length < 2;
    });
    return responses;
  }

  /** Call when the cumulative TSN moves on: performs the peer's reset that waited for it, and returns the answer. */
  advance(cumulativeTsn: number): Buffer | undefined {
    const deferred = this.#deferred;
    if (deferred === undefined || tsnBefore(cumulativeTsn, deferred.lastTsn)) return undefined;
    this.#perform(deferred.streamIds);
    return this.#response(tsnPlus(this.#expectedSequenceNumber, -1), result.performed);
  }

  #handleOutgoingReset(value: Buffer, cumulativeTsn: number): Buffer {
    const sequenceNumber = value.readUInt32BE(0);
    if (sequenceNumber === tsnPlus(this.#expectedSequenceNumber, -1))
      return this.#response(sequenceNumber, this.#lastResult);
    if (sequenceNumber !== this.#expectedSequenceNumber || this.#deferred !== undefined)
      return this.#response(sequenceNumber, result.badSequenceNumber);
    this.#expectedSequenceNumber = tsnPlus(sequenceNumber, 1);
    const lastTsn = value.readUInt32BE(8);
    const streamIds: number[] = [];
    for (let at = 12; at + 2 <= value.length; at += 2) streamIds.push(value.readUInt16BE(at));
    if (tsnBefore(cumulativeTsn, lastTsn)) {
      this.#deferred = { lastTsn, streamIds };
      this.#lastResult = result.inProgress;
    } else this.#perform(streamIds);
    return this.#response(sequenceNumber, this.#lastResult);
  }

  /** The peer asks us to reset what we send. Only the program closes a channel, so that is refused. */
  #handleIncomingReset(value: Buffer): Buffer {
    const sequenceNumber = value.readUInt32BE(0);
    if (sequenceNumber !== this.#expectedSequenceNumber)
      return this.#response(
        sequenceNumber,
        sequenceNumber === tsnPlus(this.#expectedSequenceNumber, -1)
          ? this.#lastResult
          : result.badSequenceNumber,
      );
    this.#expectedSequenceNumber = tsnPlus(sequenceNumber, 1);
    this.#lastResult = result.denied;
    return this.#response(sequenceNumber, result.denied);
  }

  #handleResponse(sequenceNumber: number, outcome: number): void {
    const request = this.#request;
    if (request?.sequenceNumber !== sequenceNumber) return;
    // The peer waits for data that was sent before the request, which is sent again later.
    if (outcome === result.inProgress) return;
    this.#request = undefined;
    this.requestDueMs = undefined;
    for (const streamId of request.streamIds) this.#options.onOutgoingReset(streamId);
  }

  #perform(streamIds: number[]): void {
    this.#deferred = undefined;
    this.#lastResult = result.performed;
    this.#options.onIncomingReset(streamIds.length > 0 ? streamIds : undefined);
  }

  #response(sequenceNumber: number, outcome: number): Buffer {
    const value = Buffer.alloc(8);
    value.writeUInt32BE(sequenceNumber, 0);
    value.writeUInt32BE(outcome, 4);
    return chunk(chunkType.reconfig, 0, parameter(parameterType.response, value));
  }
}

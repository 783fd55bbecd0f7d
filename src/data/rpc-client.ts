import { randomUUID } from 'node:crypto';
import { RpcRequest, type RpcResponse } from '@livekit/protocol';
import { describeError, OffhookError } from '../errors/index.js';
import { limits } from '../limits.js';
import { createLogger, type Logger, type LogSubject } from '../logging/index.js';
import type { PacketSender } from './packet.js';
import { RpcError, rpcLimits } from './rpc-error.js';
import { noRpcStreams, type RpcStreams, rpcAttributes, rpcTopics, streamRpcVersion } from './rpc-streams.js';
import type { TextStreamReader } from './stream-reader.js';

export interface PerformRpcOptions {
  destinationIdentity: string;
  method: string;
  /** At most 15 KiB of UTF-8 for a participant whose client takes RPC as packets only. */
  payload: string;
  /** How long the whole call may take; default 15 s. */
  responseTimeoutMs?: number;
  /** How long the other side may take to say that it has the request; default 7 s. */
  maxRoundTripLatencyMs?: number;
}

interface PendingCall {
  destinationIdentity: string;
  acknowledge(): void;
  succeed(payload: string): void;
  fail(error: RpcError): void;
}

const log = createLogger('data/rpc');
const protocolVersion = 1;
const defaultResponseTimeoutMs = 15_000;
const defaultRoundTripMs = 7_000;
/** The handler at the other side always gets this long. */
const minHandlerTimeMs = 1_000;

/** Calls of remote methods: request, acknowledgement, response. */
export class RpcClient {
  #sender: PacketSender;
  #log: Logger;
  #streams: RpcStreams;
  #pending = new Map<string, PendingCall>();

  constructor(sender: PacketSender, subject: LogSubject = {}, streams: RpcStreams = noRpcStreams) {
    this.#log = log.about(subject);
    this.#sender = sender;
    this.#streams = streams;
  }

  /** @throws RpcError, or OffhookError `OFFHOOK_INVALID_REQUEST` for a time-out that cannot be used */
  async perform(options: PerformRpcOptions): Promise<string> {
    const { destinationIdentity, payload } = options;
    const isStream = this.#streams.reaches(destinationIdentity);
    if (!isStream && Buffer.byteLength(payload) > rpcLimits.payloadBytes)
      throw RpcError.builtIn('requestPayloadTooLarge');
    const responseTimeoutMs = wholeMs(
      'responseTimeoutMs',
      options.responseTimeoutMs ?? defaultResponseTimeoutMs,
    );
    const roundTripMs = wholeMs('maxRoundTripLatencyMs', options.maxRoundTripLatencyMs ?? defaultRoundTripMs);
    const id = randomUUID();
    const answer = this.#await(id, destinationIdentity, responseTimeoutMs, roundTripMs);
    const handlerTimeMs = Math.max(responseTimeoutMs - roundTripMs, minHandlerTimeMs);
    const sent = isStream
      ? this.#sendStream(id, options, handlerTimeMs)
      : this.#sendPacket(id, options, handlerTimeMs);
    sent.catch((error) => this.#pending.get(id)?.fail(RpcError.builtIn('sendFailed', describeError(error))));
    return answer;
  }

  #sendPacket(id: string, options: PerformRpcOptions, responseTimeoutMs: number): Promise<void> {
    const { destinationIdentity, method, payload } = options;
    const value = new RpcRequest({ id, method, payload, responseTimeoutMs, version: protocolVersion });
    return this.#sender.send({ case: 'rpcRequest', value }, 'reliable', {
      destinationIdentities: [destinationIdentity],
    });
  }

  async #sendStream(id: string, options: PerformRpcOptions, responseTimeoutMs: number): Promise<void> {
    const { destinationIdentity, method, payload } = options;
    await this.#streams.sendText(payload, {
      topic: rpcTopics.request,
      destinationIdentities: [destinationIdentity],
      attributes: {
        [rpcAttributes.requestId]: id,
        [rpcAttributes.method]: method,
        [rpcAttributes.responseTimeoutMs]: String(responseTimeoutMs),
        [rpcAttributes.version]: String(streamRpcVersion),
      },
    });
  }

  /** Whether a call to this participant waits for what it says of `requestId`. */
  isWaiting(requestId: string, identity: string): boolean {
    return this.#pending.get(requestId)?.destinationIdentity === identity;
  }

  get waiting(): number {
    return this.#pending.size;
  }

  handleAck(requestId: string): void {
    const call = this.#pending.get(requestId);
    if (call) call.acknowledge();
    else this.#log.debug(`an acknowledgement of RPC ${requestId} is ignored: no such call is waiting`);
  }

  handleResponse({ requestId, value }: RpcResponse): void {
    const call = this.#pending.get(requestId);
    if (!call) {
      this.#log.debug(`a response to RPC ${requestId} is ignored: no such call is waiting`);
    } else if (value.case === 'payload') {
      call.succeed(value.value);
    } else if (value.case === 'error') {
      call.fail(new RpcError(value.value.code, value.value.message, value.value.data));
    } else {
      call.fail(RpcError.builtIn('applicationError', 'the response has no content that this engine reads'));
    }
  }

  /** A response that succeeded, as a stream. */
  async handleResponseStream(reader: TextStreamReader): Promise<void> {
    const requestId = reader.info.attributes[rpcAttributes.requestId] ?? '';
    if (!this.isWaiting(requestId, reader.participantIdentity)) {
      this.#log.debug(`a response to RPC ${requestId} is ignored: no such call is waiting`);
      reader.cancel();
      return;
    }
    try {
      const payload = await reader.readAll();
      this.#pending.get(requestId)?.succeed(payload);
    } catch (error) {
      this.#pending.get(requestId)?.fail(RpcError.builtIn('applicationError', describeError(error)));
    }
  }

  participantLeft(identity: string): void {
    for (const call of [...this.#pending.values()]) {
      if (call.destinationIdentity === identity) call.fail(RpcError.builtIn('recipientDisconnected'));
    }
  }

  /** The room is closed: what is waiting fails. */
  close(): void {
    for (const call of [...this.#pending.values()]) call.fail(RpcError.builtIn('recipientDisconnected'));
  }

  #await(
    id: string,
    destinationIdentity: string,
    responseTimeoutMs: number,
    roundTripMs: number,
  ): Promise<string> {
    return new Promise((resolve, reject) => {
      const finish = () => {
        this.#pending.delete(id);
        clearTimeout(ackTimer);
        clearTimeout(responseTimer);
      };
      const fail = (error: RpcError) => {
        finish();
        reject(error);
      };
      const ackTimer = setTimeout(() => fail(RpcError.builtIn('connectionTimeout')), roundTripMs);
      let isAcknowledged = false;
      // Without an acknowledgement the other side is not slow to answer: it is not there.
      const expire = () => fail(RpcError.builtIn(isAcknowledged ? 'responseTimeout' : 'connectionTimeout'));
      const responseTimer = setTimeout(expire, responseTimeoutMs);
      this.#pending.set(id, {
        destinationIdentity,
        acknowledge: () => {
          isAcknowledged = true;
          clearTimeout(ackTimer);
        },
        succeed: (payload) => {
          finish();
          resolve(payload);
        },
        fail,
      });
    });
  }
}

/** The protocol has whole milliseconds only. */
function wholeMs(name: string, ms: number): number {
  if (ms > 0 && ms <= limits.timer.value) return Math.ceil(ms);
  throw new OffhookError('OFFHOOK_INVALID_REQUEST', `performRpc: ${name} is ${ms}`, {
    advice: `Give a number of milliseconds above 0, at most ${limits.timer.value}.`,
  });
}

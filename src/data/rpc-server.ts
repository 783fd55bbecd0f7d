import { RpcAck, RpcError as RpcErrorMessage, type RpcRequest, RpcResponse } from '@livekit/protocol';
import { describeError } from '../errors/index.js';
import { limits } from '../limits.js';
import { createLogger, type Logger, type LogSubject } from '../logging/index.js';
import type { PacketContent, PacketSender } from './packet.js';
import { RpcError, rpcLimits } from './rpc-error.js';
import { noRpcStreams, type RpcStreams, rpcAttributes, rpcTopics, streamRpcVersion } from './rpc-streams.js';
import type { TextStreamReader } from './stream-reader.js';

export interface RpcInvocation {
  requestId: string;
  callerIdentity: string;
  payload: string;
  /** Within which the answer must be there. */
  responseTimeoutMs: number;
}

/** Answers a call; what it throws as RpcError reaches the caller, anything else as an application error. */
export type RpcHandler = (invocation: RpcInvocation) => string | Promise<string>;

const log = createLogger('data/rpc');
const protocolVersion = 1;
const defaultResponseTimeoutMs = 15_000;

/** Methods that others may call. */
export class RpcServer {
  #sender: PacketSender;
  #log: Logger;
  #handlers = new Map<string, RpcHandler>();
  /** Calls that a handler has not answered yet. */
  #unanswered = 0;
  #streams: RpcStreams;

  constructor(sender: PacketSender, subject: LogSubject = {}, streams: RpcStreams = noRpcStreams) {
    this.#log = log.about(subject);
    this.#sender = sender;
    this.#streams = streams;
  }

  register(method: string, handler: RpcHandler): void {
    this.#handlers.set(method, handler);
  }

  unregister(method: string): void {
    this.#handlers.delete(method);
  }

  async handleRequest(callerIdentity: string, request: RpcRequest): Promise<void> {
    const requestId = request.id;
    this.#send(callerIdentity, { case: 'rpcAck', value: new RpcAck({ requestId }) });
    const value = await this.#answer(callerIdentity, request);
    this.#respond(callerIdentity, requestId, value);
  }

  /** A request as a stream: acknowledgement and errors are still packets; the answer is a stream. */
  async handleRequestStream(reader: TextStreamReader): Promise<void> {
    const { participantIdentity: callerIdentity } = reader;
    const { attributes } = reader.info;
    const requestId = attributes[rpcAttributes.requestId] ?? '';
    const method = attributes[rpcAttributes.method] ?? '';
    this.#send(callerIdentity, { case: 'rpcAck', value: new RpcAck({ requestId }) });
    try {
      if (Number(attributes[rpcAttributes.version]) !== streamRpcVersion)
        throw RpcError.builtIn('unsupportedVersion');
      const payload = await this.#call(method, {
        requestId,
        callerIdentity,
        payload: await reader.readAll(),
        responseTimeoutMs: Number(attributes[rpcAttributes.responseTimeoutMs]) || defaultResponseTimeoutMs,
      });
      await this.#streams.sendText(payload, {
        topic: rpcTopics.response,
        destinationIdentities: [callerIdentity],
        attributes: { [rpcAttributes.requestId]: requestId },
      });
    } catch (error) {
      reader.cancel();
      this.#respond(callerIdentity, requestId, { case: 'error', value: this.#toMessage(error, method) });
    }
  }

  #respond(callerIdentity: string, requestId: string, value: RpcResponse['value']): void {
    this.#send(callerIdentity, { case: 'rpcResponse', value: new RpcResponse({ requestId, value }) });
  }

  async #answer(callerIdentity: string, request: RpcRequest): Promise<RpcResponse['value']> {
    try {
      if (request.version !== protocolVersion) throw RpcError.builtIn('unsupportedVersion');
      const payload = await this.#call(request.method, {
        requestId: request.id,
        callerIdentity,
        payload: request.payload,
        responseTimeoutMs: request.responseTimeoutMs,
      });
      if (Buffer.byteLength(payload) > rpcLimits.payloadBytes)
        throw RpcError.builtIn('responsePayloadTooLarge');
      return { case: 'payload', value: payload };
    } catch (error) {
      return { case: 'error', value: this.#toMessage(error, request.method) };
    }
  }

  async #call(method: string, invocation: RpcInvocation): Promise<string> {
    const handler = this.#handlers.get(method);
    if (!handler) throw RpcError.builtIn('unsupportedMethod');
    if (this.#unanswered >= limits.unansweredCalls.value) throw RpcError.builtIn('applicationError');
    this.#unanswered++;
    try {
      return await handler(invocation);
    } finally {
      this.#unanswered--;
    }
  }

  #toMessage(error: unknown, method: string): RpcErrorMessage {
    if (!(error instanceof RpcError))
      this.#log.warn(`the handler of RPC method ${method} failed: ${describeError(error)}`);
    return toMessage(error);
  }

  #send(destinationIdentity: string, content: PacketContent): void {
    this.#sender
      .send(content, 'reliable', { destinationIdentities: [destinationIdentity] })
      .catch((error) =>
        this.#log.warn(`${content.case} to ${destinationIdentity} was not sent: ${describeError(error)}`),
      );
  }
}

function toMessage(error: unknown): RpcErrorMessage {
  const { code, message, data } = error instanceof RpcError ? error : RpcError.builtIn('applicationError');
  return new RpcErrorMessage({
    code,
    message: truncateUtf8(message, rpcLimits.messageBytes),
    data: truncateUtf8(data, rpcLimits.dataBytes),
  });
}

/** Cuts text off at a number of bytes, not within a character. */
function truncateUtf8(text: string, maxBytes: number): string {
  const bytes = Buffer.from(text, 'utf8');
  if (bytes.length <= maxBytes) return text;
  return new TextDecoder().decode(bytes.subarray(0, maxBytes), { stream: true });
}

import { checkInteger, checkText } from '../errors/index.js';
import { limits } from '../limits.js';

/** The error codes that LiveKit's RPC protocol itself uses; programs may use any others. */
export const rpcErrorCodes = {
  applicationError: 1500,
  connectionTimeout: 1501,
  responseTimeout: 1502,
  recipientDisconnected: 1503,
  responsePayloadTooLarge: 1504,
  sendFailed: 1505,
  unsupportedMethod: 1400,
  recipientNotFound: 1401,
  requestPayloadTooLarge: 1402,
  unsupportedServer: 1403,
  unsupportedVersion: 1404,
} as const;

/** Bytes of UTF-8 in `message`, `data` and payloads beyond which they are cut off or refused. */
export const rpcLimits = {
  messageBytes: limits.rpcErrorMessage.value,
  dataBytes: limits.rpcPayload.value,
  payloadBytes: limits.rpcPayload.value,
} as const;

const builtInMessages: Record<keyof typeof rpcErrorCodes, string> = {
  applicationError: 'Application error in method handler',
  connectionTimeout: 'Connection timeout',
  responseTimeout: 'Response timeout',
  recipientDisconnected: 'Recipient disconnected',
  responsePayloadTooLarge: 'Response payload too large',
  sendFailed: 'Failed to send',
  unsupportedMethod: 'Method not supported at destination',
  recipientNotFound: 'Recipient not found',
  requestPayloadTooLarge: 'Request payload too large',
  unsupportedServer: 'RPC not supported by server',
  unsupportedVersion: 'Unsupported RPC version',
};

/** The error of a remote procedure call, on this side or the other. A handler throws it to answer with an error. */
export class RpcError extends Error {
  override readonly name = 'RpcError';
  /** One of `rpcErrorCodes`, or a number of the program's own. */
  readonly code: number;
  /** Further text for the caller's program; may be empty. */
  readonly data: string;

  /** @throws OffhookError `OFFHOOK_INVALID_REQUEST` for a code that is not a 32-bit integer, or a message that is not text */
  constructor(code: number, message: string, data = '') {
    super(checkText('the message of an RpcError', message));
    this.code = checkInteger('the code of an RpcError', code, 0, 0xffff_ffff);
    this.data = data;
  }

  /** The error that the protocol has for `name`. */
  static builtIn(name: keyof typeof rpcErrorCodes, data = ''): RpcError {
    return new RpcError(rpcErrorCodes[name], builtInMessages[name], data);
  }
}

import type { TextStreamInfo, TextStreamOptions } from './stream-info.js';

/** RPC as text streams (client protocol 1 and later): no limit of 15 KiB, and one packet for a short payload. */
export const rpcTopics = { request: 'lk.rpc_request', response: 'lk.rpc_response' } as const;

/** Attributes of the streams. */
export const rpcAttributes = {
  requestId: 'lk.rpc_request_id',
  method: 'lk.rpc_request_method',
  responseTimeoutMs: 'lk.rpc_request_response_timeout_ms',
  version: 'lk.rpc_request_version',
} as const;

/** What `version` says of a request that is a stream. */
export const streamRpcVersion = 2;

/** What RPC needs of streams. */
export interface RpcStreams {
  /** Whether this participant takes requests and responses as streams. */
  reaches(identity: string): boolean;
  sendText(text: string, options: TextStreamOptions): Promise<TextStreamInfo>;
}

/** For a peer that knows packets only. */
export const noRpcStreams: RpcStreams = {
  reaches: () => false,
  sendText: () => Promise.reject(new Error('no streams')),
};

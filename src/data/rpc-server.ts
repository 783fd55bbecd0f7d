export interface RpcInvocation {
  requestId: string;
  callerIdentity: string;
  payload: string;
  /** Within which the answer must be there. */
  responseTimeoutMs: number;
}

/** Answers a call; what it throws as RpcError reaches the caller, anything else as an application error. */
export type RpcHandler = (invocation: RpcInvocation) => string | Promise<string>;

export interface PerformRpcOptions {
  destinationIdentity: string;
  method: string;
  payload: string;
  /** How long the whole call may take; default 15 s. */
  responseTimeoutMs?: number;
  /** How long the other side may take to say that it has the request; default 7 s. */
  maxRoundTripLatencyMs?: number;
}

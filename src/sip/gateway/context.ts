import type { Authenticator, Registrar } from '../auth/index.js';
import type { SipEndpoint } from '../call/index.js';
import type { PortRange } from '../media/index.js';
import type { CallLog, CallRecord } from './call-log.js';
import type { SipDirectory } from './directory.js';
import type { SipGuard } from './guard.js';
import type { JoinQueue } from './join-queue.js';
import type { RoomAccess } from './room-leg.js';

/** Times of calls, in milliseconds. */
export interface CallTimes {
  /** How long a caller hears ringing before the call is refused with 480. */
  agentMs: number;
  /** How long an outgoing call may ring. */
  ringingMs: number;
  /** How long nothing may come from the phone before the call is over. */
  mediaMs: number;
  /** How long a call may last. */
  callMs: number;
  /** How long a caller may take for each digit of a PIN. */
  pinMs: number;
}

export const defaultCallTimes: CallTimes = {
  agentMs: 30_000,
  ringingMs: 80_000,
  mediaMs: 30_000,
  callMs: 24 * 3_600_000,
  pinMs: 15_000,
};

/** What every call of a gateway shares. */
export interface GatewayContext {
  endpoint: SipEndpoint;
  directory: SipDirectory;
  room: RoomAccess;
  joins: JoinQueue;
  guard: SipGuard;
  registrar: Registrar;
  authenticator: Authenticator;
  times: CallTimes;
  /** Address that media is received at. */
  mediaAddress: string;
  mediaPorts: PortRange | undefined;
  /** Callers hear the ringing from us (183) instead of from their own telephone (180). */
  earlyMedia: boolean;
  /** Calls to the outside that may go on at once. */
  maxOutboundCalls: number;
  /** Beginnings of numbers that may be called; empty allows all that a trunk is asked for. */
  allowedDestinations: readonly string[];
  calls: Map<string, GatewayCall>;
  /** Follows the messages of a SIP Call-ID. */
  trace(callId: string, log: CallLog): void;
  finished(call: GatewayCall, record: CallRecord, sipCallId: string): void;
}

/** A call that goes on, as the gateway's own functions see it. */
export interface GatewayCall {
  /** LiveKit's id of the call: `SCL_…`. */
  readonly callId: string;
  readonly direction: 'inbound' | 'outbound';
  readonly roomName: string;
  readonly identity: string;
  /** Hangs up at once, whatever the call is doing. */
  end(reason: string): void;
  /** Asks the phone to call somebody else; undefined while the call is not answered. */
  readonly transfer: ((request: TransferRequest) => Promise<TransferOutcome>) | undefined;
}

export interface TransferRequest {
  /** `tel:+1555…` or `sip:…`. */
  to: string;
  headers: Readonly<Record<string, string>>;
  playDialtone: boolean;
  ringingMs: number;
}

export interface TransferOutcome {
  /** Last SIP status that the phone reported; 408 when it did not report in time. */
  status: number;
  reason: string;
}

export { CallSession, type OfferResult, sdpType, type TransferProgress } from './call-session.js';
export {
  describePeer,
  type EndpointOptions,
  type SentRequest,
  type ServedRequest,
  SipEndpoint,
  type TracedMessage,
} from './endpoint.js';
export { IncomingCall } from './incoming-call.js';
export { credentialsFor, type DialOptions, OutgoingCall, type OutgoingCallEvents } from './outgoing-call.js';

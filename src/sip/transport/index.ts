export {
  type Flow,
  isLoopback,
  isReliable,
  type SipAddress,
  type SipProtocol,
  type SipTarget,
} from './flow.js';
export { protocolOf, resolveTarget } from './resolve.js';
export { type TransportOptions, Transports } from './transports.js';

export { type CandidateAddress, candidateAddress, hostCandidate, type IceCandidate } from './candidate.js';
export type { IceCredentials, IcePath } from './ice-agent.js';
export { type IceServer, stunServers, turnServers } from './ice-servers.js';
export { type CandidatePair, IceSession, type IceStats } from './ice-session.js';
export { localAddresses, localAddressTowards } from './local-address.js';
export { type LinkOwner, type PacketMeter, UdpPort } from './udp-port.js';

export { type Certificate, generateCertificate } from './certificate.js';
export type { CertificateStats, ConnectionStats, DataChannelInfo } from './connection-stats.js';
export { type Description, parseDescription, writeDescription } from './description.js';
export {
  type CandidateAddress,
  type CandidatePair,
  candidateAddress,
  hostCandidate,
  type IceCandidate,
  type IceServer,
  localAddresses,
  localAddressTowards,
  type PacketMeter,
  UdpPort,
} from './ice/index.js';
export {
  type Codec,
  type Direction,
  dataSection,
  extensionUris,
  isReceiving,
  isSending,
  type MediaSection,
  type Source,
  ssrcsOf,
} from './media-section.js';
export { PeerConnection, type PeerConnectionOptions, type PeerConnectionState } from './peer-connection.js';
export { MediaTrack } from './rtp-router.js';
export type { DataChannel } from './sctp/index.js';
export { SrtpContext, type SrtpMasterKey, type SrtpProfile, srtpProfiles } from './srtp/index.js';

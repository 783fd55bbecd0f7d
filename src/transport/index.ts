export type { CandidatePair } from './candidate-pair.js';
export { type Certificate, generateCertificate, ownCertificate } from './certificate.js';
export { DataChannel } from './data-channel.js';
export { candidateAddress, candidateLikelihood, type IceCandidate, type IceServer } from './ice.js';
export type { AudioTrackOptions } from './media-section.js';
export { MediaTrack } from './media-track.js';
export {
  PeerConnection,
  type PeerConnectionOptions,
  type PeerConnectionState,
  type SessionDescription,
  shutdownTransport,
} from './peer-connection.js';
export { parseSdp, type SdpMedia } from './sdp.js';
export { SrtpContext, type SrtpMasterKey, type SrtpProfile, srtpProfiles } from './srtp/index.js';

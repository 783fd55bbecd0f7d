export { type Certificate, generateCertificate } from './certificate.js';
export { DataChannel } from './data-channel.js';
export { candidateAddress, candidateLikelihood, type IceCandidate, type IceServer } from './ice.js';
export { MediaTrack } from './media-track.js';
export {
  type AudioTrackOptions,
  type CandidatePair,
  PeerConnection,
  type PeerConnectionOptions,
  type PeerConnectionState,
  type SessionDescription,
  shutdownTransport,
  type VideoTrackOptions,
} from './peer-connection.js';
export { parseSdp, type SdpCodec, type SdpMedia } from './sdp.js';

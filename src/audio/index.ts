export { decodeAudioLevel } from './audio-level.js';
export { AudioReceiver, type AudioReceiverStats } from './audio-receiver.js';
export { AudioSender, type AudioSenderStats } from './audio-sender.js';
export { AudioSource, type AudioSourceOptions } from './audio-source.js';
export { AudioStream, type AudioStreamOptions, checkStreamOptions } from './audio-stream.js';
export type { Clock } from './clock.js';
export type { AudioPayload } from './depacketize.js';
export type { FrameFilter } from './filter-stage.js';
export type { AudioFrame } from './frame.js';
export { PacketHistory } from './packet-history.js';
export { ReceptionReport } from './reception-report.js';
export { parseRed } from './red.js';
export { remix } from './remix.js';
export { Resampler, type ResamplerOptions } from './resampler.js';
export type { ResamplerQuality } from './resampler-filter.js';
export {
  buildNack,
  buildPli,
  buildReceiverReport,
  buildSenderReport,
  parseRtcp,
  type ReportBlock,
  type RtcpPacket,
} from './rtcp.js';
export { isRtcp, parseRtp, type RtpPacket, sequenceDifference, serializeRtp } from './rtp.js';

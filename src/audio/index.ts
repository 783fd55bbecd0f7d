export { audioLevelDbov, decodeAudioLevel } from './audio-level.js';
export { AudioReceiver, type AudioReceiverOptions, type AudioReceiverStats } from './audio-receiver.js';
export { AudioSender, type AudioSenderOptions, type AudioSenderStats } from './audio-sender.js';
export { AudioSource, type AudioSourceOptions } from './audio-source.js';
export { AudioStream, type AudioStreamOptions, type AudioStreamStats } from './audio-stream.js';
export { type Clock, systemClock } from './clock.js';
export type { AudioPayload } from './depacketize.js';
export type { FrameFilter } from './filter-stage.js';
export type { AudioFrame } from './frame.js';
export { PacketHistory } from './packet-history.js';
export { ReceptionReport, type ReceptionStats } from './reception-report.js';
export { buildRed, parseRed, type RedBlock } from './red.js';
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
  toNtp,
} from './rtcp.js';
export {
  isRtcp,
  parseRtp,
  type RtpHeader,
  type RtpPacket,
  sequenceDifference,
  serializeRtp,
  timestampDifference,
} from './rtp.js';
export { sharedTicker, Ticker } from './ticker.js';

export { CongestionControl, type ControlledStream } from './congestion-control.js';
export { PacketHistory } from './packet-history.js';
export { ReceptionReport, type ReceptionStats } from './reception-report.js';
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
export { isRtcp, parseRtp, type RtpPacket, sequenceDifference, serializeRtp } from './rtp.js';
export { type HeaderExtension, RtpSender, type RtpSenderOptions, type RtpSenderStats } from './rtp-sender.js';
export { type TransportFeedback, TransportFeedbackRecorder } from './transport-feedback.js';
export { Unwrapper } from './unwrap.js';

import type { AudioReceiverStats } from '../../../audio/index.js';
import type { TrackStats } from '../../../room/index.js';
import type { VideoReceiverStats } from '../../../video/index.js';
import { statsMessages } from '../../protocol.js';
import { codecEntry, rtpStream } from './codec.js';
import { count, entry, type Stats, type StatsTime, wallTimeOf, withZeros } from './messages.js';

const { InboundRtpStreamStats, ReceivedRtpStreamStats, RemoteOutboundRtpStreamStats, SentRtpStreamStats } =
  statsMessages;

const opusClockRate = 48_000;

/** What is known of an audio track that is received. */
export function audioReceiverStats(track: TrackStats<AudioReceiverStats>, time: StatsTime): Stats[] {
  const { stats } = track;
  return stream(track, 'audio', time, {
    packetsDiscarded: count(stats.packetsDiscarded + stats.late),
    // Decoding is part of the tick that takes a packet out of the buffer.
    totalProcessingDelay: stats.sampleDelayMs / 1_000,
    jitterBufferDelay: stats.sampleDelayMs / 1_000,
    jitterBufferTargetDelay: stats.sampleTargetDelayMs / 1_000,
    // Nobody asks for a longer delay than the network does.
    jitterBufferMinimumDelay: stats.sampleTargetDelayMs / 1_000,
    jitterBufferEmittedCount: count(stats.samplesEmitted),
    totalSamplesReceived: count(stats.samplesPlayed),
    concealedSamples: count(stats.samplesConcealed),
    concealmentEvents: count(stats.concealmentEvents),
    insertedSamplesForDeceleration: count(stats.samplesInserted),
    removedSamplesForAcceleration: count(stats.samplesRemoved),
    audioLevel: Math.sqrt(stats.meanSquare),
    totalAudioEnergy: stats.totalAudioEnergy,
    totalSamplesDuration: stats.samplesPlayed / opusClockRate,
  });
}

/** What is known of a video track that is received. */
export function videoReceiverStats(track: TrackStats<VideoReceiverStats>, time: StatsTime): Stats[] {
  const { stats } = track;
  return stream(track, 'video', time, {
    packetsDiscarded: count(stats.packetsDiscarded),
    framesReceived: count(stats.framesReceived),
    framesDecoded: stats.framesDecoded,
    keyFramesDecoded: stats.keyFramesReceived,
    framesDropped: stats.framesDropped,
    frameWidth: stats.width,
    frameHeight: stats.height,
    framesPerSecond: stats.framesPerSecond,
    totalDecodeTime: stats.totalDecodeMs / 1_000,
    totalInterFrameDelay: stats.totalInterFrameMs / 1_000,
    totalSquaredInterFrameDelay: stats.totalSquaredInterFrameS2,
    freezeCount: stats.freezeCount,
    totalFreezeDuration: stats.totalFreezeMs / 1_000,
    totalProcessingDelay: stats.totalProcessingMs / 1_000,
    jitterBufferDelay: stats.totalBufferMs / 1_000,
    jitterBufferEmittedCount: count(stats.framesEmitted),
    decoderImplementation: stats.decoderName,
    framesAssembledFromMultiplePackets: count(stats.framesOfSeveralPackets),
    totalAssemblyTime: stats.totalAssemblyMs / 1_000,
    retransmittedPacketsReceived: count(stats.repairedPackets),
    retransmittedBytesReceived: count(stats.repairedBytes),
    rtxSsrc: stats.repairSsrc ?? 0,
    nackCount: stats.nackCount,
    pliCount: stats.pliCount,
  });
}

/** An RTP stream, and what its sender has reported of it. */
function stream(
  track: TrackStats<AudioReceiverStats | VideoReceiverStats>,
  kind: 'audio' | 'video',
  time: StatsTime,
  fields: ConstructorParameters<typeof InboundRtpStreamStats>[0],
): Stats[] {
  const { sid, section, stats } = track;
  const { sender } = stats;
  const id = `inbound-${sid}`;
  const remoteId = `remote-out-${sid}`;
  const rtp = rtpStream(track, kind, stats.ssrc);
  const inbound = entry('inboundRtp', id, time.wallMs, {
    stream: rtp,
    received: new ReceivedRtpStreamStats({
      packetsReceived: count(stats.packetsReceived),
      packetsLost: count(stats.packetsLost),
      jitter: stats.jitterMs / 1_000,
    }),
    inbound: withZeros(InboundRtpStreamStats, {
      trackIdentifier: section?.trackId ?? sid,
      mid: section?.mid ?? '',
      remoteId: sender ? remoteId : '',
      lastPacketReceivedTimestamp: wallTimeOf(stats.lastPacketMs, time),
      headerBytesReceived: count(stats.headerBytesReceived),
      bytesReceived: count(stats.bytesReceived),
      ...fields,
    }),
  });
  const codec = codecEntry(track, kind, stats.payloadType, time);
  if (!sender) return [...codec, inbound];
  const reported = entry('remoteOutboundRtp', remoteId, wallTimeOf(sender.arrivedMs, time), {
    stream: rtp,
    sent: new SentRtpStreamStats({
      packetsSent: count(sender.packetsSent),
      bytesSent: count(sender.bytesSent),
    }),
    remoteOutbound: withZeros(RemoteOutboundRtpStreamStats, {
      localId: id,
      remoteTimestamp: sender.sentAtMs,
      reportsSent: count(sender.reportsSent),
    }),
  });
  return [...codec, inbound, reported];
}

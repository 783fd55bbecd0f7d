import type { AudioSenderStats } from '../../../audio/index.js';
import type { TrackStats } from '../../../room/index.js';
import type { VideoLayerStats, VideoSenderStats } from '../../../video/index.js';
import { statsMessages } from '../../protocol.js';
import { type CarriedTrack, codecEntry, rtpStream } from './codec.js';
import { count, entry, type Stats, type StatsTime, withZeros } from './messages.js';

const {
  AudioSourceStats,
  MediaSourceStats,
  OutboundRtpStreamStats,
  QualityLimitationReason,
  ReceivedRtpStreamStats,
  RemoteInboundRtpStreamStats,
  SentRtpStreamStats,
  VideoSourceStats,
} = statsMessages;

type Stream = AudioSenderStats | VideoLayerStats;

/** What is known of an audio track that is sent. */
export function audioSenderStats(track: TrackStats<AudioSenderStats>, time: StatsTime): Stats[] {
  const { sid, stats: sender } = track;
  const { totalAudioEnergy, audioLevelDbov, samplesCaptured, sourceRate } = sender;
  return [
    ...codecEntry(track, 'audio', sender.payloadType, time),
    ...stream(track, 'audio', sender, `outbound-${sid}`, time, {
      targetBitrate: sender.targetBitrateBps,
      active: true,
    }),
    entry('mediaSource', sourceId(sid), time.wallMs, {
      source: new MediaSourceStats({ trackIdentifier: track.section?.trackId ?? sid, kind: 'audio' }),
      audio: withZeros(AudioSourceStats, {
        audioLevel: samplesCaptured === 0 ? 0 : 10 ** (audioLevelDbov / 20),
        totalAudioEnergy,
        totalSamplesDuration: samplesCaptured / sourceRate,
        totalSamplesCaptured: count(samplesCaptured),
      }),
      video: withZeros(VideoSourceStats, {}),
    }),
  ];
}

/** What is known of a video track that is sent: each layer of a simulcast has an entry of its own. */
export function videoSenderStats(track: TrackStats<VideoSenderStats>, time: StatsTime): Stats[] {
  const { sid, stats } = track;
  const { layers, source } = stats;
  return [
    ...layers.slice(0, 1).flatMap(({ payloadType }) => codecEntry(track, 'video', payloadType, time)),
    ...layers.flatMap((layer) =>
      stream(track, 'video', layer, `outbound-${sid}${layer.rid ?? ''}`, time, videoFields(layer)),
    ),
    entry('mediaSource', sourceId(sid), time.wallMs, {
      source: new MediaSourceStats({ trackIdentifier: track.section?.trackId ?? sid, kind: 'video' }),
      audio: withZeros(AudioSourceStats, {}),
      video: withZeros(VideoSourceStats, source),
    }),
  ];
}

const sourceId = (sid: string) => `source-${sid}`;

function videoFields(layer: VideoLayerStats) {
  return {
    targetBitrate: layer.targetBitrateBps,
    frameWidth: layer.width,
    frameHeight: layer.height,
    framesPerSecond: layer.framesPerSecond,
    framesSent: layer.framesEncoded,
    framesEncoded: layer.framesEncoded,
    keyFramesEncoded: layer.keyFramesEncoded,
    totalEncodeTime: layer.totalEncodeMs / 1_000,
    qualityLimitationReason: layer.isLimited
      ? QualityLimitationReason.LIMITATION_BANDWIDTH
      : QualityLimitationReason.LIMITATION_NONE,
    qualityLimitationDurations: {
      none: layer.unlimitedMs / 1_000,
      bandwidth: layer.limitedMs / 1_000,
      cpu: 0,
      other: 0,
    },
    pliCount: layer.pliCount,
    encoderImplementation: layer.encoderName,
    active: layer.isActive,
    rid: layer.rid ?? '',
  };
}

/** An RTP stream, and what its receiver has reported of it. */
function stream(
  track: CarriedTrack,
  kind: 'audio' | 'video',
  sender: Stream,
  id: string,
  time: StatsTime,
  fields: ConstructorParameters<typeof OutboundRtpStreamStats>[0],
): Stats[] {
  const { sid, section } = track;
  const { remote } = sender;
  const remoteId = `remote-in-${id}`;
  const rtp = rtpStream(track, kind, sender.ssrc);
  const outbound = entry('outboundRtp', id, time.wallMs, {
    stream: rtp,
    sent: new SentRtpStreamStats({
      packetsSent: count(sender.packetsSent),
      bytesSent: count(sender.bytesSent),
    }),
    outbound: withZeros(OutboundRtpStreamStats, {
      mid: section?.mid ?? '',
      mediaSourceId: sourceId(sid),
      remoteId: remote ? remoteId : '',
      headerBytesSent: count(sender.headerBytesSent),
      retransmittedPacketsSent: count(sender.retransmittedPackets),
      retransmittedBytesSent: count(sender.retransmittedBytes),
      rtxSsrc: sender.repairSsrc ?? 0,
      nackCount: sender.nackCount,
      ...fields,
    }),
  });
  if (!remote) return [outbound];
  const reported = entry('remoteInboundRtp', remoteId, remote.reportedAtMs, {
    stream: rtp,
    received: withZeros(ReceivedRtpStreamStats, {
      packetsLost: count(remote.packetsLost),
      jitter: remote.jitterMs / 1_000,
    }),
    remoteInbound: withZeros(RemoteInboundRtpStreamStats, {
      localId: id,
      fractionLost: remote.fractionLost,
      roundTripTime: (remote.roundTripMs ?? 0) / 1_000,
      totalRoundTripTime: remote.totalRoundTripMs / 1_000,
      roundTripTimeMeasurements: count(remote.roundTripCount),
    }),
  });
  return [outbound, reported];
}

import type { RtcStats } from '@livekit/rtc-ffi-bindings/proto/stats_pb.js';
import type { AudioReceiverStats, AudioSenderStats } from '../../audio/index.js';
import type { TransportStats } from '../../room/index.js';
import type { VideoLayerStats, VideoReceiverStats, VideoSenderStats } from '../../video/index.js';
import type { InitOf } from '../messages.js';
import { statsMessages } from '../protocol.js';

const {
  CandidatePairStats,
  CodecStats,
  IceCandidatePairState,
  IceCandidateStats,
  IceCandidateType,
  InboundRtpStreamStats,
  OutboundRtpStreamStats,
  ReceivedRtpStreamStats,
  RemoteInboundRtpStreamStats,
  RtpStreamStats,
  SentRtpStreamStats,
} = statsMessages;

const opusClockRate = 48_000;

/** The values of a message's required fields before anything is known (names of scalar types as protobuf numbers them). */
const zeroOf: Record<number, unknown> = {
  1: 0, // double
  3: 0n, // int64
  4: 0n, // uint64
  5: 0, // int32
  8: false, // bool
  9: '', // string
  13: 0, // uint32
};

interface MessageClass<Type> {
  new (init: never): Type;
  readonly fields: { list(): readonly { localName: string; kind: string; req?: boolean; T?: unknown }[] };
}

/** A message with what is known of it; required fields that this engine does not measure are zero. */
function withZeros<Type extends object>(type: MessageClass<Type>, known: InitOf<Type>): Type {
  const zeros = Object.fromEntries(
    type.fields
      .list()
      .filter(({ kind, req }) => req && kind !== 'message')
      .map(({ localName, kind, T }) => [localName, kind === 'enum' ? 0 : zeroOf[T as number]]),
  );
  return new type({ ...zeros, ...known } as never);
}

type Stats = InitOf<RtcStats>;

/** The time is in microseconds since 1970. */
const rtc = (id: string, nowMs: number) => ({ id, timestamp: BigInt(Math.round(nowMs * 1_000)) });

function codec(mid: string, payloadType: number | undefined, nowMs: number): Stats {
  const mimeType = payloadType === redPayloadType ? 'audio/red' : 'audio/opus';
  return {
    stats: {
      case: 'codec',
      value: {
        rtc: rtc(`codec-${mid}`, nowMs),
        codec: withZeros(CodecStats, {
          payloadType: payloadType ?? 0,
          mimeType,
          clockRate: opusClockRate,
          channels: 2,
        }),
      },
    },
  };
}

/** As the native engine and browsers number RED in their offers. */
const redPayloadType = 63;

function videoCodec(
  sid: string,
  { payloadType, codec: name }: VideoReceiverStats | VideoLayerStats,
  nowMs: number,
): Stats {
  return {
    stats: {
      case: 'codec',
      value: {
        rtc: rtc(`codec-${sid}`, nowMs),
        codec: withZeros(CodecStats, {
          payloadType: payloadType ?? 0,
          mimeType: `video/${name?.toUpperCase() ?? ''}`,
          clockRate: 90_000,
        }),
      },
    },
  };
}

/** What is known of a video track that is sent: each layer of a simulcast has an entry of its own. */
export function videoSenderStats(sid: string, { layers }: VideoSenderStats, nowMs: number): Stats[] {
  return [
    ...layers.slice(0, 1).map((layer) => videoCodec(sid, layer, nowMs)),
    ...layers.map((layer) => videoLayerStats(sid, layer, nowMs)),
  ];
}

function videoLayerStats(sid: string, sender: VideoLayerStats, nowMs: number): Stats {
  return {
    stats: {
      case: 'outboundRtp',
      value: {
        rtc: rtc(`outbound-${sid}${sender.rid ?? ''}`, nowMs),
        stream: withZeros(RtpStreamStats, {
          ssrc: sender.ssrc,
          kind: 'video',
          transportId: 'publisher',
          codecId: `codec-${sid}`,
        }),
        sent: new SentRtpStreamStats({
          packetsSent: BigInt(sender.packetsSent),
          bytesSent: BigInt(sender.bytesSent),
        }),
        outbound: withZeros(OutboundRtpStreamStats, {
          headerBytesSent: BigInt(sender.headerBytesSent),
          retransmittedPacketsSent: BigInt(sender.retransmittedPackets),
          targetBitrate: sender.targetBitrateBps,
          frameWidth: sender.width,
          frameHeight: sender.height,
          framesSent: sender.framesEncoded,
          framesEncoded: sender.framesEncoded,
          keyFramesEncoded: sender.keyFramesEncoded,
          nackCount: sender.nackCount,
          pliCount: sender.pliCount,
          active: sender.isActive,
          rid: sender.rid ?? '',
        }),
      },
    },
  };
}

/** What is known of a video track that is received. */
export function videoReceiverStats(sid: string, receiver: VideoReceiverStats, nowMs: number): Stats[] {
  const inbound: Stats = {
    stats: {
      case: 'inboundRtp',
      value: {
        rtc: rtc(`inbound-${sid}`, nowMs),
        stream: withZeros(RtpStreamStats, {
          ssrc: receiver.ssrc ?? 0,
          kind: 'video',
          transportId: 'subscriber',
          codecId: `codec-${sid}`,
        }),
        received: new ReceivedRtpStreamStats({
          packetsReceived: BigInt(receiver.packetsReceived),
          packetsLost: BigInt(receiver.packetsLost),
          jitter: receiver.jitterMs / 1000,
        }),
        inbound: withZeros(InboundRtpStreamStats, {
          trackIdentifier: sid,
          bytesReceived: BigInt(receiver.bytesReceived),
          packetsDiscarded: BigInt(receiver.packetsDiscarded),
          framesReceived: BigInt(receiver.framesReceived),
          framesDecoded: receiver.framesDecoded,
          keyFramesDecoded: receiver.keyFramesReceived,
          framesDropped: receiver.framesDropped,
          frameWidth: receiver.width,
          frameHeight: receiver.height,
          nackCount: receiver.nackCount,
          pliCount: receiver.pliCount,
        }),
      },
    },
  };
  return [videoCodec(sid, receiver, nowMs), inbound];
}

/** What is known of a track that is sent. */
export function senderStats(sid: string, sender: AudioSenderStats, nowMs: number): Stats[] {
  const stream = withZeros(RtpStreamStats, {
    ssrc: sender.ssrc,
    kind: 'audio',
    transportId: 'publisher',
    codecId: `codec-${sid}`,
  });
  const outbound: Stats = {
    stats: {
      case: 'outboundRtp',
      value: {
        rtc: rtc(`outbound-${sid}`, nowMs),
        stream,
        sent: new SentRtpStreamStats({
          packetsSent: BigInt(sender.packetsSent),
          bytesSent: BigInt(sender.bytesSent),
        }),
        outbound: withZeros(OutboundRtpStreamStats, {
          headerBytesSent: BigInt(sender.headerBytesSent),
          retransmittedPacketsSent: BigInt(sender.retransmittedPackets),
          nackCount: sender.nackCount,
          active: true,
        }),
      },
    },
  };
  if (!sender.remote) return [codec(sid, sender.payloadType, nowMs), outbound];
  const { fractionLost, packetsLost, jitterMs, roundTripMs } = sender.remote;
  const remote: Stats = {
    stats: {
      case: 'remoteInboundRtp',
      value: {
        rtc: rtc(`remote-inbound-${sid}`, nowMs),
        stream,
        received: withZeros(ReceivedRtpStreamStats, {
          packetsLost: BigInt(packetsLost),
          jitter: jitterMs / 1000,
        }),
        remoteInbound: withZeros(RemoteInboundRtpStreamStats, {
          localId: `outbound-${sid}`,
          fractionLost,
          roundTripTime: (roundTripMs ?? 0) / 1000,
        }),
      },
    },
  };
  return [codec(sid, sender.payloadType, nowMs), outbound, remote];
}

/** What is known of a track that is received. */
export function receiverStats(sid: string, receiver: AudioReceiverStats, nowMs: number): Stats[] {
  const inbound: Stats = {
    stats: {
      case: 'inboundRtp',
      value: {
        rtc: rtc(`inbound-${sid}`, nowMs),
        stream: withZeros(RtpStreamStats, {
          ssrc: receiver.ssrc ?? 0,
          kind: 'audio',
          transportId: 'subscriber',
          codecId: `codec-${sid}`,
        }),
        received: new ReceivedRtpStreamStats({
          packetsReceived: BigInt(receiver.packetsReceived),
          packetsLost: BigInt(receiver.packetsLost),
          jitter: receiver.jitterMs / 1000,
        }),
        inbound: withZeros(InboundRtpStreamStats, {
          trackIdentifier: sid,
          bytesReceived: BigInt(receiver.bytesReceived),
          packetsDiscarded: BigInt(receiver.packetsDiscarded + receiver.late),
          jitterBufferDelay: receiver.totalDelayMs / 1000,
          jitterBufferTargetDelay: receiver.targetDelayMs / 1000,
          jitterBufferEmittedCount: BigInt(receiver.played),
          totalSamplesReceived: BigInt(receiver.samplesPlayed),
          concealedSamples: BigInt(receiver.samplesConcealed),
          concealmentEvents: BigInt(receiver.concealmentEvents),
          insertedSamplesForDeceleration: BigInt(receiver.samplesInserted),
          removedSamplesForAcceleration: BigInt(receiver.samplesRemoved),
        }),
      },
    },
  };
  return [codec(sid, receiver.payloadType, nowMs), inbound];
}

const candidateTypes: Record<string, number> = {
  host: IceCandidateType.HOST,
  srflx: IceCandidateType.SRFLX,
  prflx: IceCandidateType.PRFLX,
  relay: IceCandidateType.RELAY,
};

/** The pair of addresses that a peer connection uses. */
export function transportStats(name: string, transport: TransportStats | undefined, nowMs: number): Stats[] {
  if (!transport?.pair) return [];
  const candidate = (side: 'local' | 'remote'): Stats => {
    const { address, port, protocol, type } = transport.pair![side];
    return {
      stats: {
        case: side === 'local' ? 'localCandidate' : 'remoteCandidate',
        value: {
          rtc: rtc(`${name}-${side}`, nowMs),
          candidate: withZeros(IceCandidateStats, {
            transportId: name,
            address,
            port,
            protocol,
            candidateType: candidateTypes[type],
          }),
        },
      },
    };
  };
  const pair: Stats = {
    stats: {
      case: 'candidatePair',
      value: {
        rtc: rtc(`${name}-pair`, nowMs),
        candidatePair: withZeros(CandidatePairStats, {
          transportId: name,
          localCandidateId: `${name}-local`,
          remoteCandidateId: `${name}-remote`,
          state: IceCandidatePairState.PAIR_SUCCEEDED,
          nominated: true,
          bytesSent: BigInt(transport.bytesSent),
          bytesReceived: BigInt(transport.bytesReceived),
          currentRoundTripTime: (transport.rttMs ?? 0) / 1000,
        }),
      },
    },
  };
  return [pair, candidate('local'), candidate('remote')];
}

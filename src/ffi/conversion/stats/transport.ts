import type {
  CandidatePairStats as PairMessage,
  TransportStats as TransportMessage,
} from '@livekit/rtc-ffi-bindings/proto/stats_pb.js';
import type { TransportStats } from '../../../room/index.js';
import type { InitOf } from '../../messages.js';
import { statsMessages } from '../../protocol.js';
import { count, entry, type Stats, type StatsTime, wallTimeOf, withZeros } from './messages.js';

const {
  CandidatePairStats,
  CertificateStats,
  DataChannelState,
  DataChannelStats,
  DtlsRole,
  DtlsTransportState,
  IceCandidatePairState,
  IceCandidateStats,
  IceCandidateType,
  IceRole,
  IceTcpCandidateType,
  IceTransportState,
  PeerConnectionStats,
  TransportStats: TransportMessageClass,
} = statsMessages;

type Candidate = NonNullable<TransportStats['ice']>['localCandidates'][number];
type Certificate = TransportStats['localCertificate'];

/** When media last came and left over a transport, on the monotonic clock. */
export interface MediaTimes {
  receivedMs?: number | undefined;
  sentMs?: number | undefined;
}

const candidateTypes: Record<string, number> = {
  host: IceCandidateType.HOST,
  srflx: IceCandidateType.SRFLX,
  prflx: IceCandidateType.PRFLX,
  relay: IceCandidateType.RELAY,
};
const tcpTypes: Record<string, number> = {
  active: IceTcpCandidateType.CANDIDATE_ACTIVE,
  passive: IceTcpCandidateType.CANDIDATE_PASSIVE,
  so: IceTcpCandidateType.CANDIDATE_SO,
};
const dtlsStates = {
  new: DtlsTransportState.DTLS_TRANSPORT_NEW,
  connecting: DtlsTransportState.DTLS_TRANSPORT_CONNECTING,
  connected: DtlsTransportState.DTLS_TRANSPORT_CONNECTED,
  closed: DtlsTransportState.DTLS_TRANSPORT_CLOSED,
};
const iceStates = {
  checking: IceTransportState.ICE_TRANSPORT_CHECKING,
  connected: IceTransportState.ICE_TRANSPORT_CONNECTED,
  disconnected: IceTransportState.ICE_TRANSPORT_DISCONNECTED,
};
const channelStates = {
  connecting: DataChannelState.DC_CONNECTING,
  open: DataChannelState.DC_OPEN,
  closed: DataChannelState.DC_CLOSED,
};
/** DTLS 1.2, as its records have it. */
const dtlsVersion = 'FEFD';
const maxInt32 = 0x7fffffff;

const certificateId = ({ fingerprint }: Certificate) => `certificate-${fingerprint}`;
const pairId = (name: string) => `${name}-pair`;
const candidateId = (name: string, side: string, { protocol, address, port }: Candidate) =>
  `${name}-${side}-${protocol}-${address}-${port}`;

/** What a track's statistics name of its transport: the pair in use, its ends, and both certificates. */
export function transportStats(transport: TransportStats, media: MediaTimes, time: StatsTime): Stats[] {
  const { name, ice } = transport;
  const { selected } = ice ?? {};
  return [
    transportEntry(transport, time),
    ...certificates(transport, time),
    ...pairs(transport, media, time),
    ...(selected
      ? [candidate(name, 'local', selected.local, ice!.localUfrag, time), remoteEnd(transport, time)!]
      : []),
  ];
}

/** What is known of a connection without its tracks. */
export function connectionStats(transport: TransportStats, media: MediaTimes, time: StatsTime): Stats[] {
  const { name, ice, channels, channelsOpened, channelsClosed } = transport;
  const pc = { dataChannelsOpened: channelsOpened, dataChannelsClosed: channelsClosed };
  return [
    entry('peerConnection', `${name}-connection`, time.wallMs, { pc: new PeerConnectionStats(pc) }),
    transportEntry(transport, time),
    ...certificates(transport, time),
    ...pairs(transport, media, time),
    ...candidates(transport, 'local', ice?.localCandidates ?? [], ice?.localUfrag, time),
    ...candidates(transport, 'remote', ice?.remoteCandidates ?? [], ice?.remoteUfrag, time),
    ...channels.map((channel, index) =>
      entry('dataChannel', `${name}-channel-${channel.id ?? `new-${index}`}`, time.wallMs, {
        dc: withZeros(DataChannelStats, {
          label: channel.label,
          protocol: channel.protocol,
          dataChannelIdentifier: channel.id ?? -1,
          state: channelStates[channel.state],
          messagesSent: channel.messagesSent >>> 0,
          bytesSent: count(channel.bytesSent),
          messagesReceived: channel.messagesReceived >>> 0,
          bytesReceived: count(channel.bytesReceived),
        }),
      }),
    ),
  ];
}

function transportEntry(transport: TransportStats, { wallMs }: StatsTime): Stats {
  const { name, ice, dtls, state, localCertificate, remoteCertificate } = transport;
  const isFailed = state === 'failed';
  const value: InitOf<TransportMessage> = {
    packetsSent: count(transport.packetsSent),
    packetsReceived: count(transport.packetsReceived),
    bytesSent: count(transport.bytesSent),
    bytesReceived: count(transport.bytesReceived),
    iceRole: ice ? (ice.isControlling ? IceRole.ICE_CONTROLLING : IceRole.ICE_CONTROLLED) : undefined,
    iceLocalUsernameFragment: ice?.localUfrag,
    dtlsState: isFailed ? DtlsTransportState.DTLS_TRANSPORT_FAILED : dtlsStates[dtls?.state ?? 'new'],
    iceState: isFailed
      ? IceTransportState.ICE_TRANSPORT_FAILED
      : ice
        ? iceStates[ice.state]
        : IceTransportState.ICE_TRANSPORT_NEW,
    selectedCandidatePairId: ice?.selected ? pairId(name) : undefined,
    localCertificateId: certificateId(localCertificate),
    remoteCertificateId: remoteCertificate && certificateId(remoteCertificate),
    tlsVersion: dtls?.cipher ? dtlsVersion : undefined,
    dtlsCipher: dtls?.cipher,
    dtlsRole: dtls
      ? dtls.role === 'client'
        ? DtlsRole.DTLS_CLIENT
        : DtlsRole.DTLS_SERVER
      : DtlsRole.DTLS_UNKNOWN,
    srtpCipher: dtls?.srtpProfile,
    selectedCandidatePairChanges: ice?.selections,
  };
  return entry('transport', name, wallMs, { transport: withZeros(TransportMessageClass, known(value)) });
}

function certificates(
  { localCertificate, remoteCertificate }: TransportStats,
  { wallMs }: StatsTime,
): Stats[] {
  return [localCertificate, remoteCertificate].flatMap((certificate) =>
    certificate === undefined
      ? []
      : entry('certificate', certificateId(certificate), wallMs, {
          certificate: withZeros(CertificateStats, {
            fingerprint: certificate.fingerprint,
            fingerprintAlgorithm: 'sha-256',
            base64Certificate: certificate.der.toString('base64'),
          }),
        }),
  );
}

/** The pair in use, once there is one. Its packets are all of the transport's: others carry checks only. */
function pairs(transport: TransportStats, media: MediaTimes, time: StatsTime): Stats[] {
  const { name, ice } = transport;
  const selected = ice?.selected;
  if (!selected) return [];
  const value: InitOf<PairMessage> = {
    transportId: name,
    localCandidateId: candidateId(name, 'local', selected.local),
    remoteCandidateId: candidateId(name, 'remote', selected.remote),
    state: IceCandidatePairState.PAIR_SUCCEEDED,
    nominated: selected.nominated,
    packetsSent: count(transport.packetsSent),
    packetsReceived: count(transport.packetsReceived),
    bytesSent: count(transport.bytesSent),
    bytesReceived: count(transport.bytesReceived),
    lastPacketSentTimestamp: wallTimeOf(latest(transport.lastDtlsSentMs, media.sentMs), time),
    lastPacketReceivedTimestamp: wallTimeOf(latest(transport.lastDtlsReceivedMs, media.receivedMs), time),
    totalRoundTripTime: selected.totalRttMs / 1_000,
    currentRoundTripTime: selected.rttMs / 1_000,
    availableOutgoingBitrate: transport.availableOutgoingBps,
    requestsReceived: count(selected.requestsReceived),
    requestsSent: count(selected.requestsSent),
    responsesReceived: count(selected.responsesReceived),
    responsesSent: count(selected.responsesSent),
    consentRequestsSent: count(selected.consentRequestsSent),
  };
  const candidatePair = withZeros(CandidatePairStats, known(value));
  return [entry('candidatePair', pairId(name), time.wallMs, { candidatePair })];
}

/** The end on the other side; also for a track that is received, as the pair's own. */
function remoteEnd({ name, ice }: TransportStats, time: StatsTime): Stats | undefined {
  return ice?.selected && candidate(name, 'remote', ice.selected.remote, ice.remoteUfrag, time);
}

/** Those that were announced, and the end of the pair in use where it was not. */
function candidates(
  { name, ice }: TransportStats,
  side: 'local' | 'remote',
  announced: readonly Candidate[],
  ufrag: string | undefined,
  time: StatsTime,
): Stats[] {
  const used = ice?.selected?.[side];
  const all = new Map(announced.map((each) => [candidateId(name, side, each), each]));
  if (used) all.set(candidateId(name, side, used), used);
  return [...all.values()].map((each) => candidate(name, side, each, ufrag, time));
}

function candidate(
  name: string,
  side: 'local' | 'remote',
  each: Candidate,
  ufrag: string | undefined,
  { wallMs }: StatsTime,
): Stats {
  const { address, port, protocol, type, priority, foundation, tcpType } = each;
  return entry(
    side === 'local' ? 'localCandidate' : 'remoteCandidate',
    candidateId(name, side, each),
    wallMs,
    {
      candidate: withZeros(IceCandidateStats, {
        transportId: name,
        address,
        port,
        protocol,
        candidateType: candidateTypes[type],
        // The field is too narrow for what a peer may write.
        priority: Math.min(maxInt32, priority),
        foundation,
        usernameFragment: ufrag ?? '',
        ...(tcpType === undefined ? {} : { tcpType: tcpTypes[tcpType] }),
      }),
    },
  );
}

const latest = (...times: (number | undefined)[]): number | undefined => {
  const there = times.filter((time) => time !== undefined);
  return there.length === 0 ? undefined : Math.max(...there);
};

/** Without what is undefined, which would take the place of a zero. */
function known<Init extends object>(init: Init): Init {
  return Object.fromEntries(Object.entries(init).filter(([, value]) => value !== undefined)) as Init;
}

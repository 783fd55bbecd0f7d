/** A number that bounds what others can make offhook do. docs/limits.md is generated from these. */
export interface Limit {
  value: number;
  unit: 'bytes' | 'count' | 'per second' | 'bytes per second' | 'ms per second' | 'ms' | 's' | 'Hz';
  /** Where the number comes from: LiveKit's default, an RFC, a measurement. */
  source: string;
  /** What happens beyond it, as a sentence. */
  effect: string;
}

export type Limits = Readonly<Record<string, Limit>>;

/** What bounds the engine: rooms, transport, audio, data, and the requests of programs. The room server has its own. */
export const limits = {
  timer: {
    value: 2 ** 31 - 1,
    unit: 'ms',
    source: 'Node.js: a timer that is set further ahead fires at once',
    effect: 'A longer duration is refused, or counts as this one.',
  },
  signalMessage: {
    value: 16 * 1024 * 1024,
    unit: 'bytes',
    source: 'ours: a room of 10 000 participants with 1 KB of metadata each',
    effect: 'The signal connection ends and the room reconnects.',
  },
  refusalBody: {
    value: 4096,
    unit: 'bytes',
    source: 'ours: a sentence is expected',
    effect: 'The rest of the body of an HTTP error is not read.',
  },
  outsideText: {
    value: 300,
    unit: 'count',
    source: 'ours: two sentences',
    effect: 'Of a longer text of a server, a proxy or a plugin, the first characters are shown.',
  },
  httpBody: {
    value: 64 * 1024,
    unit: 'bytes',
    source: 'ours: some hundred regions',
    effect: 'The rest of the body is not read.',
  },
  regions: {
    value: 100,
    unit: 'count',
    source: 'ours',
    effect: 'Of a longer list of regions, the first are used.',
  },
  descriptionChars: {
    value: 2 * 1024 * 1024,
    unit: 'count',
    source: 'ours: a thousand sections as browsers write them',
    effect: 'A longer session description is refused.',
  },
  sections: {
    value: 1_024,
    unit: 'count',
    source: 'ours: more than any conference has on one connection',
    effect:
      'A session description with more is refused. Sections that a server wants in order to send more tracks are not offered.',
  },
  sectionCodecs: {
    value: 256,
    unit: 'count',
    source: 'twice the 128 payload types of RTP (RFC 3550, section 5.1)',
    effect: 'Further formats of a section are passed over.',
  },
  sectionAttributes: {
    value: 64,
    unit: 'count',
    source: 'ours: browsers write about twenty header extensions, and five kinds of feedback for a codec',
    effect: 'Further header extensions of a section, or kinds of feedback of a codec, are passed over.',
  },
  sectionSources: {
    value: 128,
    unit: 'count',
    source: 'ours: a simulcast of video has six',
    effect: 'Further SSRCs of a section are passed over.',
  },
  sectionRids: {
    value: 16,
    unit: 'count',
    source: 'ours: a simulcast has three or four',
    effect: 'Further RIDs of a section are passed over.',
  },
  descriptionCandidates: {
    value: 128,
    unit: 'count',
    source: 'ours: a machine with many addresses has tens',
    effect: 'Further candidates of a session description are passed over.',
  },
  descriptionFingerprints: {
    value: 8,
    unit: 'count',
    source: 'ours: one for each hash that is in use',
    effect: 'Further fingerprints of a session description are passed over.',
  },
  credentialChars: {
    value: 256,
    unit: 'count',
    source: 'RFC 8839, section 5.4: they go into every check of a path',
    effect: 'A session description with longer ICE credentials is refused.',
  },
  midChars: {
    value: 64,
    unit: 'count',
    source: 'ours: browsers write a few digits; it is said again in answers and to other participants',
    effect: 'A session description with a longer MID is refused.',
  },
  candidateChars: {
    value: 512,
    unit: 'count',
    source: 'ours: those of browsers have about 150',
    effect: 'A longer candidate is refused.',
  },
  remoteCandidates: {
    value: 32,
    unit: 'count',
    source: 'ours, for each ICE session: each is checked from each of our addresses',
    effect: 'Further candidates of the other side are passed over; its own checks find the way.',
  },
  earlyCandidates: {
    value: 64,
    unit: 'count',
    source: 'ours, for each connection',
    effect: 'Of candidates that come before the description which they belong to, further ones are dropped.',
  },
  earlyDatagrams: {
    value: 16,
    unit: 'count',
    source: 'ours: two flights of DTLS',
    effect:
      'Of DTLS that comes before the description which says who begins it, further packets are dropped.',
  },
  earlySignals: {
    value: 64,
    unit: 'count',
    source: 'ours: the candidates of a machine with many addresses',
    effect: 'Of what is to be sent before the server has let us in, further messages are dropped.',
  },
  icePaths: {
    value: 64,
    unit: 'count',
    source: 'ours, for each ICE session: an agent has some addresses, not thousands',
    effect: 'The path that was silent for longest is forgotten, never the one in use.',
  },
  pendingChecks: {
    value: 64,
    unit: 'count',
    source: 'ours, for each path: what leaves in some round trips',
    effect: 'The answer to the oldest check no longer counts.',
  },
  turnAttempts: {
    value: 4,
    unit: 'count',
    source: 'ours: who asks, and nonces that have just gone stale',
    effect: 'A request to a TURN server that refuses it so often fails.',
  },
  unsentStreamBytes: {
    value: 64 * 1024,
    unit: 'bytes',
    source: 'ours: a fraction of a second; late audio is of no use',
    effect: 'Packets over a TCP connection, to a peer or a relay, that has so much unsent are dropped.',
  },
  learnedSsrcs: {
    value: 256,
    unit: 'count',
    source: 'ours, for each connection: SSRCs that were learned from the MID of a packet',
    effect: 'The SSRC that was learned first is forgotten.',
  },
  sctpAnswers: {
    value: 32,
    unit: 'count',
    source: 'ours: what fits into some packets',
    effect: 'A peer that asks for more answers (heartbeats, resets, errors) before they leave gets none.',
  },
  dtlsMessageBytes: {
    value: 16_384,
    unit: 'bytes',
    source: 'ours: a certificate of WebRTC has less than 2 KB',
    effect: 'A longer handshake message is dropped.',
  },
  dtlsMessagesAhead: {
    value: 8,
    unit: 'count',
    source: 'ours: a flight has at most five',
    effect: 'Handshake messages further ahead of a missing one are dropped.',
  },
  dtlsAssemblyBytes: {
    value: 49_152,
    unit: 'bytes',
    source: 'ours: three messages of the longest length',
    effect: 'Of incomplete handshake messages, later ones are dropped.',
  },
  dtlsPieces: {
    value: 64,
    unit: 'count',
    source: 'ours: the longest message in pieces of 256 bytes',
    effect: 'A handshake message in more separate pieces is dropped.',
  },
  dtlsCertificates: {
    value: 8,
    unit: 'count',
    source: 'ours: WebRTC sends one',
    effect: 'The handshake fails.',
  },
  dtlsExtensions: {
    value: 64,
    unit: 'count',
    source: 'ours: browsers send about ten',
    effect: 'The handshake fails.',
  },
  dtlsEarlyRecords: {
    value: 32,
    unit: 'count',
    source: 'ours: what comes before its key is there, or before the peer is verified',
    effect: 'Further records are dropped.',
  },
  dtlsEarlyBytes: {
    value: 49_152,
    unit: 'bytes',
    source: 'as dtlsEarlyRecords',
    effect: 'As dtlsEarlyRecords.',
  },
  rsaBits: {
    value: 8_192,
    unit: 'count',
    source: 'ours: verifying takes time that grows with the square of it, and the peer chooses it',
    effect: 'A certificate with a larger key is refused.',
  },
  undecryptedPackets: {
    value: 1_000,
    unit: 'count',
    source: 'ours, for each participant: while its key is searched for',
    effect: 'A further encrypted data packet is dropped with a warning.',
  },
  withoutSingleConnection: {
    value: 64,
    unit: 'count',
    source: 'ours: the regions of a cluster',
    effect: 'The server that was found first to have no `/rtc/v1` is asked for it again.',
  },
  withoutSingleConnectionMs: {
    value: 600_000,
    unit: 'ms',
    source: 'ours: a server is replaced by a newer one within minutes',
    effect: 'A server that had no `/rtc/v1` is asked for it again.',
  },
  minSampleRate: {
    value: 8_000,
    unit: 'Hz',
    source: 'lowest rate of Opus (RFC 6716)',
    effect: 'A source or stream of a lower rate is refused.',
  },
  minResamplerRate: {
    value: 1_000,
    unit: 'Hz',
    source: 'ours: from 384 kHz the filter has 61 440 coefficients; telephones begin at 8 kHz',
    effect: 'A resampler from or to a lower rate is refused.',
  },
  maxSampleRate: {
    value: 384_000,
    unit: 'Hz',
    source: 'the highest rate of WebRTC, and so of the native engine',
    effect: 'A source, stream or resampler of a higher rate is refused.',
  },
  channels: {
    value: 8,
    unit: 'count',
    source: '7.1, the most that WebRTC mixes',
    effect: 'A source, stream or resampler of more channels is refused.',
  },
  frameSize: {
    value: 10_000,
    unit: 'ms',
    source: 'ours: 480 000 samples',
    effect: 'An audio stream of longer frames is refused.',
  },
  sourceQueue: {
    value: 600_000,
    unit: 'ms',
    source: 'ours: 58 MB of mono audio at 48 kHz',
    effect: 'An audio source with a longer queue is refused.',
  },
  unawaitedCaptures: {
    value: 60_000,
    unit: 'ms',
    source: 'ours',
    effect:
      'Beyond its queue a source takes so much of frames that nobody awaits; then captures are refused.',
  },
  resamplerCoefficients: {
    value: 2 ** 17,
    unit: 'count',
    source: 'ours: 1 MB; 44.1 to 48 kHz at the highest quality has 25 600',
    effect: 'A resampler between rates with little in common rounds the position of its samples.',
  },
  resamplerDesigns: {
    value: 16,
    unit: 'count',
    source: 'ours: a program uses two or three',
    effect: 'The design that was used longest ago is computed again when it is needed.',
  },
  jitterBufferPackets: {
    value: 300,
    unit: 'count',
    source: '6 s of audio in packets of 20 ms',
    effect: 'The oldest packet of the track is dropped.',
  },
  nackedPackets: {
    value: 64,
    unit: 'count',
    source: '1.3 s of audio: more is not worth waiting for',
    effect: 'Of a longer gap, only the latest packets are asked for again.',
  },
  resends: {
    value: 2,
    unit: 'count',
    source: 'ours: a third request comes after the packet was due',
    effect: 'A packet is not sent to the server once more.',
  },
  feedbackPackets: {
    value: 4_096,
    unit: 'count',
    source: 'ours: a second of video at 45 Mbit/s; reports come ten times a second',
    effect: 'A report on the packets of a transport that claims more is ignored.',
  },
  pacedPackets: {
    value: 4_096,
    unit: 'count',
    source: 'ours: 5 MB; video stops encoding when a fraction of a second waits',
    effect: 'A further packet of video is dropped.',
  },
  openStreams: {
    value: 1_000,
    unit: 'count',
    source: 'ours, for each sender',
    effect: 'A further data stream of this sender is dropped with a warning.',
  },
  inlineStream: {
    value: 256 * 1024,
    unit: 'bytes',
    source: 'ours: 1 MiB took 1.5 to 5 ms of a busy machine',
    effect:
      'Compressed content of a stream header that is longer is decompressed outside of the engine thread.',
  },
  rpcStream: {
    value: 64 * 1024 * 1024,
    unit: 'bytes',
    source: 'ours: the payload is a string in memory, before and after a handler sees it',
    effect: 'The call fails; nothing else does.',
  },
  streamPayload: {
    value: 5_000_000_000,
    unit: 'bytes',
    source: 'LiveKit default; `data_stream.max_payload_byte_length` of connect sets it',
    effect: 'An incoming data stream that is longer ends with an error for its reader.',
  },
  unreadStreams: {
    value: 256 * 1024 * 1024,
    unit: 'bytes',
    source: 'ours, for all incoming data streams of a room',
    effect: 'The stream that goes beyond it ends with an error.',
  },
  untakenBytes: {
    value: 4 * 1024 * 1024,
    unit: 'bytes',
    source: 'ours: more than a picture of 1080p; events for a program that its thread has not taken',
    effect:
      'Frames and chunks of streams wait in their own queues. Lossy data packets are dropped, and counted in a warning.',
  },
  untakenEvents: {
    value: 256 * 1024 * 1024,
    unit: 'bytes',
    source: 'ours: as unreadStreams; events for a program that its thread has not taken',
    effect:
      'The room whose event goes beyond it is left with an error in the log and AGENT_ERROR as the reason.',
  },
  publishersRemembered: {
    value: 4_096,
    unit: 'count',
    source: 'ours: 32 MB of sequence windows',
    effect:
      'The publisher that was not heard of for longest is forgotten; a packet of its that comes twice is delivered twice.',
  },
  reorderedPackets: {
    value: 4_096,
    unit: 'count',
    source: 'ours: 500 ms at 8 000 packets a second',
    effect: 'What waits for its turn is delivered at once.',
  },
  unansweredCalls: {
    value: 1_000,
    unit: 'count',
    source: 'ours: calls by others that the program has not answered',
    effect: 'A further call is answered with an application error.',
  },
  rpcPayload: {
    value: 15_360,
    unit: 'bytes',
    source: "LiveKit's RPC in packets: 15 KiB; as a stream, to current clients, it has no such limit",
    effect: 'A call or answer with more fails with REQUEST_ or RESPONSE_PAYLOAD_TOO_LARGE.',
  },
  rpcErrorMessage: {
    value: 256,
    unit: 'bytes',
    source: "LiveKit's RPC",
    effect: 'A longer message is cut off.',
  },
  dataTrackFrame: {
    value: 8 * 1024 * 1024,
    unit: 'bytes',
    source: 'four times what LiveKit clients send: 128 packets of 16 000 bytes',
    effect: 'A longer frame of a data track is dropped.',
  },
  waitingDataTrackFrames: {
    value: 65_536,
    unit: 'bytes',
    source: 'ours: 130 ms at 4 Mbit/s; what is older is of little use',
    effect: 'Of the frames of data tracks that wait to be sent, the oldest are dropped, but for the newest.',
  },
  unsealedDataTrackFrames: {
    value: 16,
    unit: 'count',
    source: "LiveKit's clients, for each track",
    effect: 'A further frame of the data track is refused with QUEUE_FULL, or dropped where it was received.',
  },
  dataTracks: {
    value: 10_000,
    unit: 'count',
    source: 'ours: data tracks of others in one room',
    effect: 'A further one is ignored with a warning.',
  },
  filterMessage: {
    value: 2 * 1024 * 1024,
    unit: 'bytes',
    source: 'a second of 8 channels at 48 kHz in float is 1.5 MB',
    effect: "The filter's process is ended.",
  },
  filterFrames: {
    value: 5,
    unit: 'count',
    source: '50 ms: a filter that is so late is of no use to a call',
    effect: 'A frame passes without the filter.',
  },
  filterStreams: {
    value: 1_024,
    unit: 'count',
    source: "ours, for each filter's process",
    effect: 'A further stream passes without the filter.',
  },
  scriptFilterHeap: {
    value: 256 * 1024 * 1024,
    unit: 'bytes',
    source: 'ours',
    effect: "The filter's thread is ended and started again.",
  },
  timelineSteps: {
    value: 256,
    unit: 'count',
    source: 'ours: a connect has about 15',
    effect: 'The first 64 and the latest 192 steps are kept, and the number of the others.',
  },
  reconnectAttempts: {
    value: 20,
    unit: 'count',
    source: 'ours; `maxReconnectAttempts` sets another number',
    effect: 'The room is disconnected.',
  },
  srtpStreams: {
    value: 1_024,
    unit: 'count',
    source: 'ours, for each connection: more than any conference sends on one; 500 bytes each',
    effect: 'The SSRC that was silent for longest is forgotten. Only authentic packets count.',
  },
  sctpWindow: {
    value: 1024 * 1024,
    unit: 'bytes',
    source: 'ours: some messages of the longest length',
    effect:
      'Fragments with a gap before them are dropped. A peer that leaves more incomplete without a gap is cut off.',
  },
  sctpTsns: {
    value: 16_384,
    unit: 'count',
    source: 'ours: 19 MB in flight; a power of two',
    effect: 'A fragment further ahead of the first missing one is dropped.',
  },
  dataChannels: {
    value: 1_024,
    unit: 'count',
    source: 'Chromium',
    effect: 'Messages on further streams are reported to the peer and dropped.',
  },
  dataChannelLabel: {
    value: 1_024,
    unit: 'bytes',
    source: 'ours',
    effect: 'A channel with a longer label or protocol is closed.',
  },
} as const satisfies Limits;

/** A duration from outside as a timer takes it: a longer one than that counts as the longest. */
export function timerMs(ms: number): number {
  return Math.min(ms, limits.timer.value);
}

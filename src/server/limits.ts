import type { Limits } from '../limits.js';

const livekitDefault = "livekit-server's default";

/** Every limit of the room server: what one client may send, keep or cause. */
export const limits = {
  roomNameBytes: {
    value: 256,
    unit: 'bytes',
    source: livekitDefault,
    effect: 'A join or API request with a longer room name is refused.',
  },
  identityBytes: {
    value: 256,
    unit: 'bytes',
    source: livekitDefault,
    effect: 'A join with a longer identity is refused with 400.',
  },
  participantNameBytes: {
    value: 256,
    unit: 'bytes',
    source: livekitDefault,
    effect:
      'A longer name is refused with LIMIT_EXCEEDED, in the API with invalid_argument; a token may say more, as with livekit-server.',
  },
  metadataBytes: {
    value: 64_000,
    unit: 'bytes',
    source: livekitDefault,
    effect:
      'Longer metadata of a room or participant is refused with LIMIT_EXCEEDED, in the API with invalid_argument; a token may say more, as with livekit-server.',
  },
  attributesBytes: {
    value: 64_000,
    unit: 'bytes',
    source: `${livekitDefault}; keys and values together`,
    effect:
      'Larger attributes are refused with LIMIT_EXCEEDED, in the API with invalid_argument; a token may say more, as with livekit-server.',
  },
  signalRequestsPerSecond: {
    value: 200,
    unit: 'per second',
    source:
      'measurement: 1,000 requests at once take a fraction of a second of the one thread (test/server/floods)',
    effect:
      'The client, or the worker, is not read until it is within its budget again; its own requests wait.',
  },
  signalRequestBurst: {
    value: 1_000,
    unit: 'count',
    source: 'a client that subscribes to each track of a large room when it joins',
    effect: 'As signalRequestsPerSecond.',
  },
  requestWorkPerSecond: {
    value: 250,
    unit: 'ms per second',
    source: 'a quarter of the one thread',
    effect: 'What one participant asks for by signalling waits until it is within this budget again.',
  },
  requestWorkBurst: {
    value: 100,
    unit: 'ms',
    source: 'joining with as many tracks as are allowed',
    effect: 'As requestWorkPerSecond.',
  },
  packetWorkPerSecond: {
    value: 500,
    unit: 'ms per second',
    source: 'half of the one thread',
    effect:
      'Reliable data of the participant waits, which slows it down; lossy data is dropped. See also overdrawnPackets.',
  },
  packetWorkBurst: {
    value: 200,
    unit: 'ms',
    source: 'a DTLS handshake and a burst of data',
    effect: 'As packetWorkPerSecond.',
  },
  overdrawnPackets: {
    value: 1_000,
    unit: 'per second',
    source: 'audio, three layers of video and a shared screen: a call goes on whatever it costs to forward',
    effect:
      'More UDP packets of a participant are dropped while it is packetWorkBurst beyond packetWorkPerSecond.',
  },
  signalMessageBytes: {
    value: 1_048_576,
    unit: 'bytes',
    source: 'an offer with as many sections as are allowed fits several times',
    effect: 'The WebSocket is closed with 1009 (RFC 6455, section 7.4.1).',
  },
  messageParts: {
    value: 20_000,
    unit: 'count',
    source: 'measurement: reading a message with so many messages inside takes tens of milliseconds',
    effect:
      'A request of a client, a message of a worker or a data packet is ignored; a request to join or of the API is refused with 400.',
  },
  messageFragments: {
    value: 1_024,
    unit: 'count',
    source: 'a message of the longest length in pieces of a kilobyte',
    effect: 'The WebSocket is closed with 1008.',
  },
  messageChunks: {
    value: 16_384,
    unit: 'count',
    source:
      'a message of the longest length that arrives 64 bytes at a time; each piece costs some hundred bytes',
    effect: 'As messageFragments.',
  },
  unreadSignalBytes: {
    value: 4_194_304,
    unit: 'bytes',
    source: 'more than a client with a slow connection has unread while it joins a large room',
    effect: 'The signalling connection is cut; the client may resume within the resume window.',
  },
  unreadPongBytes: {
    value: 16_384,
    unit: 'bytes',
    source: 'thousands of pings; only the latest has to be answered (RFC 6455, section 5.5.3)',
    effect: 'Pings of a WebSocket with so much unread are not answered.',
  },
  announcedBytesPerSecond: {
    value: 524_288,
    unit: 'bytes per second',
    source: 'what others read over a connection of 4 Mbit/s',
    effect:
      'Requests of a participant wait while the updates that they cause exceed it: otherwise slow readers would be cut off.',
  },
  announcedBytesBurst: {
    value: 2_097_152,
    unit: 'bytes',
    source: 'half of unreadSignalBytes',
    effect: 'As announcedBytesPerSecond.',
  },
  tracksPerParticipant: {
    value: 128,
    unit: 'count',
    source: 'measurement: publishing so many in one offer takes milliseconds (test/server/floods)',
    effect:
      'Further requests to publish are answered with LIMIT_EXCEEDED; data tracks are counted by themselves.',
  },
  trackNameBytes: {
    value: 256,
    unit: 'bytes',
    source: 'as the name of a participant; client ids are UUIDs',
    effect: 'An addTrack request with a longer name, stream or client id is answered with LIMIT_EXCEEDED.',
  },
  trackLayers: {
    value: 8,
    unit: 'count',
    source: 'more than any encoder has',
    effect: 'An addTrack request with more layers is answered with LIMIT_EXCEEDED.',
  },
  customEncodingBytes: {
    value: 32,
    unit: 'bytes',
    source: livekitDefault,
    effect: 'A data track or schema with a longer name of an encoding is refused with INVALID_REQUEST.',
  },
  dataBlobKeyBytes: {
    value: 256,
    unit: 'bytes',
    source: livekitDefault,
    effect: 'A schema with a longer name is refused with INVALID_REQUEST.',
  },
  dataBlobsBytes: {
    value: 64_000,
    unit: 'bytes',
    source: `${livekitDefault}; keys and contents of one participant together`,
    effect: 'A further schema of the participant is refused with LIMIT_EXCEEDED.',
  },
  subscriptionWishes: {
    value: 10_000,
    unit: 'count',
    source: 'a room of 2,000 participants with a few tracks each',
    effect: 'The oldest wish for a track that does not exist is forgotten.',
  },
  trackPermissions: {
    value: 10_000,
    unit: 'count',
    source: 'each participant of a room of 2,000, with a few tracks each',
    effect: 'What a participant permits beyond it (participants and tracks together) is not permitted.',
  },
  candidatesPerConnection: {
    value: 128,
    unit: 'count',
    source:
      'a machine with many addresses has tens; ICE agents check at most 100 pairs by default (RFC 8445, section 6.1.2.5)',
    effect: 'Further candidates are ignored.',
  },
  descriptionBytes: {
    value: 786_432,
    unit: 'bytes',
    source: 'as many sections as are allowed, as browsers write them',
    effect: 'The participant is removed with STATE_MISMATCH.',
  },
  descriptionSections: {
    value: 512,
    unit: 'count',
    source: 'measurement: reading and answering so many takes tens of milliseconds (test/server/floods)',
    effect: 'The participant is removed with STATE_MISMATCH.',
  },
  descriptionLines: {
    value: 25_000,
    unit: 'count',
    source: 'as many sections as are allowed, as browsers write them',
    effect: 'The participant is removed with STATE_MISMATCH.',
  },
  codecsPerSection: {
    value: 32,
    unit: 'count',
    source: 'browsers list about twenty that can be forwarded; subscribers are offered all of them',
    effect: 'Further codecs of the section are ignored.',
  },
  codecParametersBytes: {
    value: 512,
    unit: 'bytes',
    source: 'parameter sets of H.264 take about a hundred; subscribers are offered them',
    effect: 'A codec with longer parameters is ignored.',
  },
  streamsPerTrack: {
    value: 16,
    unit: 'count',
    source: 'three simulcast layers, their repair streams, and some that replaced others',
    effect: 'The stream that was silent for longest is forgotten.',
  },
  concurrentConnections: {
    value: 10_000,
    unit: 'count',
    source: 'five times the participants of the largest room that is tested',
    effect: 'Further TCP connections are closed.',
  },
  congestedDataBytes: {
    value: 524_288,
    unit: 'bytes',
    source: 'one second at 4 Mbit/s: a longer queue would delay the packets of other senders',
    effect:
      'Whoever sends reliable data to a client with so much unread waits until it is a quarter of that.',
  },
  unreadLossyBytes: {
    value: 262_144,
    unit: 'bytes',
    source: 'the longest data packet',
    effect: 'Lossy data, and whole frames of data tracks, to a client with so much unread are dropped.',
  },
  dataBeforeOpenBytes: {
    value: 4_194_304,
    unit: 'bytes',
    source: 'a minute of a busy agent, while a slow client connects',
    effect: 'Of the reliable data to a client whose data channel is not open yet the oldest is dropped.',
  },
  withheldDataBytes: {
    value: 33_554_432,
    unit: 'bytes',
    source: 'many times the window of SCTP: a client that stops when it is told to never gets there',
    effect: 'The client that sends is removed with STATE_MISMATCH.',
  },
  waitingServerDataBytes: {
    value: 33_554_432,
    unit: 'bytes',
    source:
      'as withheldDataBytes: reliable data of the server API that waits for those it is for, in each room',
    effect: 'A further SendData is answered with resource_exhausted.',
  },
  waitingServerDataMs: {
    value: 10_000,
    unit: 'ms',
    source: 'after as long a client that has stopped reading is removed',
    effect: 'A SendData that waited for as long is answered with resource_exhausted.',
  },
  stalledReceiverMs: {
    value: 10_000,
    unit: 'ms',
    source: 'twice what ICE takes to notice that a path is dead',
    effect: 'A client that has read less than stalledReceiverBytes while others wait for it is removed.',
  },
  stalledReceiverBytes: {
    value: 16_384,
    unit: 'bytes',
    source: 'a connection of 13 kilobits per second, less than a call needs',
    effect: 'See stalledReceiverMs.',
  },
  serverCalls: {
    value: 1_000,
    unit: 'count',
    source: 'ours: calls of participants by the API that wait for an answer, in each room',
    effect: 'A further PerformRpc is answered with resource_exhausted.',
  },
  waitingCallsBytes: {
    value: 33_554_432,
    unit: 'bytes',
    source:
      'as waitingServerDataBytes: calls of the API for one room that wait, because it has the budget of a participant',
    effect: 'A further call for the room is answered with resource_exhausted.',
  },
  simulatedSpeechS: {
    value: 60,
    unit: 's',
    source: 'a test of speakers needs no more, and a timer that is held for years is a leak',
    effect: 'Pretended speech (SimulateScenario) ends.',
  },
  dispatchesBytes: {
    value: 33_554_432,
    unit: 'bytes',
    source:
      'ours: thousands of dispatches in a room, or hundreds with metadata as long as that of a participant',
    effect: 'A further CreateDispatch for the room is answered with resource_exhausted.',
  },
  jobsOfDispatch: {
    value: 100,
    unit: 'count',
    source: 'ours: with metadata and attributes as large as is allowed 13 MB',
    effect: 'Of the jobs that a dispatch has had, the oldest that has ended is forgotten.',
  },
  pipelinedRequests: {
    value: 16,
    unit: 'count',
    source: 'clients wait for each answer before they ask again; measured, a thousand at once take 50 ms',
    effect: 'A connection with more requests that are not answered yet is cut.',
  },
  httpHeaderBytes: {
    value: 524_288,
    unit: 'bytes',
    source: 'a token with as much metadata and attributes as are allowed, and a join request',
    effect: 'The request is answered with 431.',
  },
  httpBodyBytes: {
    value: 4_194_304,
    unit: 'bytes',
    source: "more than the data of any API call of LiveKit's",
    effect: 'The request is answered with 413 before its body is read.',
  },
  joinRequestBytes: {
    value: 1_048_576,
    unit: 'bytes',
    source: 'as signalMessageBytes: it holds an offer',
    effect: 'A request to join that is longer once it is decompressed is refused with 400.',
  },
  lingerBytes: {
    value: 16_777_216,
    unit: 'bytes',
    source: 'four times httpBodyBytes: what a client sends that has not read yet why it was refused',
    effect: 'The connection is cut.',
  },
  lingerMs: {
    value: 2_000,
    unit: 'ms',
    source: 'some round trips over a slow connection',
    effect: 'As lingerBytes.',
  },
  httpRequestMs: {
    value: 30_000,
    unit: 'ms',
    source: 'four megabytes over a connection of a megabit per second',
    effect: 'The request is answered with 408.',
  },
  httpHeaderMs: {
    value: 10_000,
    unit: 'ms',
    source: 'a TLS handshake and a request over a slow mobile connection take a few seconds',
    effect: 'The connection is closed.',
  },
} as const satisfies Limits;

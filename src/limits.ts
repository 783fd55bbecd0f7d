/** A number that bounds what others can make offhook do. docs/limits.md is generated from these. */
export interface Limit {
  value: number;
  unit: 'bytes' | 'count' | 'per second' | 'bytes per second' | 'ms' | 's' | 'Hz';
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
    effect: 'A longer duration is refused where it enters.',
  },
  signalMessage: {
    value: 16 * 1024 * 1024,
    unit: 'bytes',
    source: 'larger than a room of 10 000 participants with full metadata',
    effect: 'The signal connection ends and the room reconnects.',
  },
  refusalBody: {
    value: 4096,
    unit: 'bytes',
    source: 'livekit-server answers in less than 300',
    effect: 'The rest of the body of an HTTP error is not read.',
  },
  httpBody: {
    value: 64 * 1024,
    unit: 'bytes',
    source: 'a list of 500 regions',
    effect: 'The rest of the body is not read.',
  },
  minSampleRate: {
    value: 8_000,
    unit: 'Hz',
    source: 'lowest rate of Opus (RFC 6716)',
    effect: 'A source or stream of a lower rate is refused.',
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
    value: 2 ** 20,
    unit: 'count',
    source: 'measured: about 0.2 s to design',
    effect: 'A resampler between rates with little in common rounds the position of its samples.',
  },
  resamplerDesigns: {
    value: 32,
    unit: 'count',
    source: 'ours: a program uses two or three',
    effect: 'The design that was used longest ago is computed again when it is needed.',
  },
  rpcPayload: {
    value: 15_360,
    unit: 'bytes',
    source: "LiveKit's RPC: 15 KiB",
    effect: 'A call or answer with more fails with REQUEST_ or RESPONSE_PAYLOAD_TOO_LARGE.',
  },
  rpcErrorMessage: {
    value: 256,
    unit: 'bytes',
    source: "LiveKit's RPC",
    effect: 'A longer message is cut off.',
  },
  filterMessage: {
    value: 2 * 1024 * 1024,
    unit: 'bytes',
    source: 'a second of 8 channels at 48 kHz in float is 1.5 MB',
    effect: "The filter's process is ended.",
  },
} as const satisfies Limits;

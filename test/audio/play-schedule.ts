import { AudioReceiver, type AudioReceiverStats } from '../../src/audio/index.js';
import { OpusEncoder } from '../../src/audio/opus-encoder.js';
import { buildRed } from '../../src/audio/red.js';
import { Ticker } from '../../src/audio/ticker.js';
import { serializeRtp } from '../../src/rtp/index.js';
import type { ArrivalSchedule } from './arrival-schedules.js';
import { ManualClock } from './manual-clock.js';

const rate = 48_000;
const packetUnits = 960;
const opusType = 111;
const redType = 63;

export interface PlayedSchedule {
  stats: AudioReceiverStats;
  /** What came out, mono at 48 kHz, from the first arrival to the last. */
  samples: Int16Array;
  /** Of the time between the arrival of a packet and its playout. */
  meanDelayMs: number;
  /** Made-up audio as a share of all audio between the first and the last packet. */
  concealedShare: number;
}

const encodedTones = new Map<number, Uint8Array[]>();

/** Packets of 20 ms of a tone of 440 Hz at -15 dBFS. */
export function encodeTone(packets: number, hz = 440): Uint8Array[] {
  const cached = encodedTones.get(packets);
  if (cached && hz === 440) return cached;
  const encoder = new OpusEncoder({ sampleRate: rate, numChannels: 1, bitrateBps: 32_000, dtx: false });
  const frame = new Int16Array(packetUnits);
  const payloads = Array.from({ length: packets }, (_, packet) => {
    for (let i = 0; i < packetUnits; i++) {
      frame[i] = Math.round(8_250 * Math.sin((2 * Math.PI * hz * (packet * packetUnits + i)) / rate));
    }
    return Uint8Array.from(encoder.encode(frame));
  });
  encoder.close();
  if (hz === 440) encodedTones.set(packets, payloads);
  return payloads;
}

/** Sends a tone through a receiver, every packet arriving when the schedule says. */
export function playSchedule({ arrivalsMs }: ArrivalSchedule, { red = false } = {}): PlayedSchedule {
  const clock = new ManualClock();
  const payloadTypes = new Map([
    [opusType, 'opus'],
    [redType, 'red'],
  ] as const);
  const receiver = new AudioReceiver({ payloadTypes, ticker: new Ticker(clock) });
  const pieces: Int16Array[] = [];
  receiver.openStream({
    sampleRate: rate,
    numChannels: 1,
    onFrame: ({ data }) => void pieces.push(data.slice()),
    onEnd: () => {},
  });
  const payloads = encodeTone(arrivalsMs.length);
  const startMs = clock.nowMs();
  const arrivals = arrivalsMs
    .flatMap((atMs, index) => (atMs === undefined ? [] : [{ atMs, index }]))
    .sort((a, b) => a.atMs - b.atMs);
  for (const { atMs, index } of arrivals) {
    clock.advanceTo(startMs + atMs);
    const older = index === 0 ? [] : [{ timestampOffset: packetUnits, payload: payloads[index - 1]! }];
    const packet = serializeRtp(
      {
        payloadType: red ? redType : opusType,
        marker: index === 0,
        sequenceNumber: (65_000 + index) & 0xffff,
        timestamp: (2 ** 32 - 48_000 + index * packetUnits) >>> 0,
        ssrc: 7,
      },
      red ? buildRed(opusType, payloads[index]!, older) : payloads[index]!,
    );
    receiver.handlePacket(packet);
  }
  const stats = receiver.stats();
  receiver.close();
  return {
    stats,
    samples: Int16Array.from(pieces.flatMap((piece) => [...piece])),
    meanDelayMs: stats.totalDelayMs / stats.played,
    concealedShare: stats.samplesConcealed / (arrivalsMs.length * packetUnits),
  };
}

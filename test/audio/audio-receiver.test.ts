import { describe, expect, test } from 'vitest';
import type { AudioReceiverOptions } from '../../src/audio/audio-receiver.js';
import {
  type AudioFrame,
  type AudioPayload,
  AudioReceiver,
  type AudioStreamOptions,
} from '../../src/audio/index.js';
import { buildRed } from '../../src/audio/red.js';
import { Ticker } from '../../src/audio/ticker.js';
import { buildSenderReport, parseRtcp, serializeRtp } from '../../src/rtp/index.js';
import { toNtp } from '../../src/rtp/rtcp.js';
import { dominantFrequencyHz, levelDbfs } from '../support/tone.js';
import { ManualClock } from './manual-clock.js';
import { encodeTone } from './play-schedule.js';

const payloadTypes = new Map<number, AudioPayload>([
  [111, 'opus'],
  [63, 'red'],
]);

function makeReceiver(options: Partial<AudioReceiverOptions> = {}) {
  const clock = new ManualClock();
  const receiver = new AudioReceiver({ payloadTypes, ticker: new Ticker(clock), ...options });
  const open = (streamOptions: Partial<AudioStreamOptions> = {}) => {
    const frames: AudioFrame[] = [];
    const ended = { count: 0 };
    const stream = receiver.openStream({
      sampleRate: 48_000,
      numChannels: 1,
      onFrame: (frame) => void frames.push({ ...frame, data: frame.data.slice() }),
      onEnd: () => void ended.count++,
      ...streamOptions,
    });
    return { stream, frames, ended };
  };
  const packet = (index: number, payload: Uint8Array, overrides = {}) =>
    serializeRtp(
      {
        payloadType: 111,
        marker: false,
        sequenceNumber: index,
        timestamp: index * 960,
        ssrc: 7,
        ...overrides,
      },
      payload,
    );
  /** Sends a packet of each payload every 20 ms. */
  const send = (payloads: Uint8Array[], from = 0, overrides = {}) => {
    payloads.forEach((payload, i) => {
      receiver.handlePacket(packet(from + i, payload, overrides));
      clock.advance(20);
    });
  };
  return { clock, receiver, open, packet, send };
}

const join = (frames: AudioFrame[]) => Int16Array.from(frames.flatMap(({ data }) => [...data]));
const tone = encodeTone(50);
const highTone = encodeTone(50, 880);

describe('AudioReceiver', () => {
  test.each([
    [48_000, 1, 'default', 480],
    [16_000, 1, 'default', 160],
    [24_000, 1, 50, 1_200],
    [44_100, 2, 20, 882],
    [22_050, 1, 100, 2_205],
  ] as const)(
    'gives frames as asked: %i Hz, %i channels, frame size in ms: %s',
    (sampleRate, numChannels, frameSizeMs, samplesPerChannel) => {
      const { open, send } = makeReceiver();
      const { frames } = open({
        sampleRate,
        numChannels,
        ...(frameSizeMs === 'default' ? {} : { frameSizeMs }),
      });
      send(tone);
      expect(frames.length).toBeGreaterThan(1_000 / (frameSizeMs === 'default' ? 10 : frameSizeMs) - 8);
      for (const frame of frames) {
        expect(frame).toMatchObject({ sampleRate, numChannels, samplesPerChannel });
        expect(frame.data).toHaveLength(samplesPerChannel * numChannels);
      }
      const mono = join(frames).filter((_, i) => i % numChannels === 0);
      const steady = { samples: mono.subarray(sampleRate / 5), sampleRate };
      expect(dominantFrequencyHz(steady)).toBe(440);
      expect(levelDbfs(steady.samples)).toBeCloseTo(-15, 0);
    },
  );

  test('several streams of one track get the same audio, each in its own form', () => {
    const { open, send } = makeReceiver();
    const wide = open({ sampleRate: 48_000 });
    const narrow = open({ sampleRate: 16_000, frameSizeMs: 20 });
    send(tone.slice(0, 25));
    const late = open({ sampleRate: 24_000, numChannels: 2 });
    send(tone.slice(25), 25);
    expect(dominantFrequencyHz({ samples: join(wide.frames).subarray(9_600), sampleRate: 48_000 })).toBe(440);
    expect(dominantFrequencyHz({ samples: join(narrow.frames).subarray(3_200), sampleRate: 16_000 })).toBe(
      440,
    );
    expect(late.frames.length).toBe(50);
    late.stream.close();
    expect(late.ended.count).toBe(1);
    send(tone.slice(0, 5), 50);
    expect(late.frames.length).toBe(50);
    expect(wide.frames.length).toBe(110);
  });

  test('follows a new SSRC, and refuses stragglers of the old one', () => {
    const { open, packet, receiver, send } = makeReceiver();
    const { frames } = open();
    send(tone.slice(0, 25));
    send(highTone, 30_000, { ssrc: 8 });
    receiver.handlePacket(packet(26, tone[26]!));
    expect(receiver.stats()).toMatchObject({ ssrc: 8, packetsDiscarded: 1 });
    const end = { samples: join(frames).subarray(-24_000), sampleRate: 48_000 };
    expect(dominantFrequencyHz(end)).toBe(880);
  });

  test('follows a payload type that changes in mid-stream: RED to Opus and back', () => {
    const { open, receiver, send } = makeReceiver();
    const { frames } = open();
    const red = tone.map((payload) => buildRed(111, payload, []));
    send(red.slice(0, 15), 0, { payloadType: 63 });
    send(tone.slice(15, 30), 15);
    send(red.slice(30), 30, { payloadType: 63 });
    expect(receiver.stats()).toMatchObject({ samplesConcealed: 0, packetsDiscarded: 0, payloadType: 63 });
    expect(dominantFrequencyHz({ samples: join(frames).subarray(9_600), sampleRate: 48_000 })).toBe(440);
  });

  test('payload types that are negotiated later are understood from then on', () => {
    const { receiver, send } = makeReceiver();
    send(tone.slice(0, 3), 0, { payloadType: 96 });
    expect(receiver.stats().packetsDiscarded).toBe(3);
    receiver.setPayloadTypes(new Map([[96, 'opus']]));
    send(tone.slice(3, 6), 3, { payloadType: 96 });
    expect(receiver.stats()).toMatchObject({ packetsDiscarded: 3, packetsReceived: 3 });
  });

  test('malformed packets are counted and cost nothing else', () => {
    const { open, receiver, send } = makeReceiver();
    open();
    for (const bytes of [[], [0x80], [0x80, 111, 0, 0], [0x80, 200, 0, 9, 1, 2, 3, 4]]) {
      receiver.handlePacket(Buffer.from(bytes));
    }
    send([Buffer.from([0xff, 0xff])], 0, { payloadType: 63 });
    send(tone.slice(0, 10));
    expect(receiver.stats().packetsReceived).toBeGreaterThanOrEqual(10);
    expect(receiver.stats().packetsDiscarded).toBeGreaterThanOrEqual(3);
  });

  test('while the track is muted, frames of silence go on', () => {
    const { clock, open, send } = makeReceiver();
    const { frames } = open();
    send(tone.slice(0, 25));
    clock.advance(3_000);
    expect(frames).toHaveLength(350);
    expect(levelDbfs(join(frames.slice(-100)))).toBe(Number.NEGATIVE_INFINITY);
    send(tone, 175);
    expect(dominantFrequencyHz({ samples: join(frames).subarray(-24_000), sampleRate: 48_000 })).toBe(440);
  });

  test('a filter stage adds no delay while it passes through, and switches at a frame boundary', () => {
    const { open, send } = makeReceiver();
    let ready = false;
    let closed = 0;
    const filtered = open({
      filter: {
        process: (frame, done) => done(ready ? new Int16Array(frame.length).fill(1_234) : undefined),
        close: () => void closed++,
      },
    });
    const plain = open();
    send(tone.slice(0, 20));
    expect(join(filtered.frames)).toEqual(join(plain.frames));
    ready = true;
    send(tone.slice(20), 20);
    const whole = filtered.frames.filter(({ data }) => data.every((value) => value === 1_234));
    expect(whole).toHaveLength(60);
    expect(filtered.stream.stats.framesFiltered).toBe(60);
    filtered.stream.close();
    expect(closed).toBe(1);
  });

  test('closing ends every stream once, and stops the clock', () => {
    const { clock, open, receiver, send } = makeReceiver();
    const streams = [open(), open({ sampleRate: 16_000 })];
    send(tone.slice(0, 10));
    receiver.close();
    receiver.close();
    expect(streams.map(({ ended }) => ended.count)).toEqual([1, 1]);
    expect(clock.pendingTimers).toBe(0);
    send(tone.slice(0, 10), 10);
    const late = open();
    expect(late.ended.count).toBe(1);
    expect(clock.pendingTimers).toBe(0);
  });

  test('nothing is decoded and no timer runs while no stream is open', () => {
    const { clock, open, receiver, send } = makeReceiver();
    send(tone.slice(0, 10));
    expect(clock.pendingTimers).toBe(0);
    expect(receiver.stats()).toMatchObject({ packetsReceived: 10, played: 0 });
    const { stream } = open();
    send(tone.slice(10, 20), 10);
    stream.close();
    expect(clock.pendingTimers).toBe(0);
  });

  test('asks again for what is missing, and reports loss and jitter', () => {
    const sent: Buffer[] = [];
    const { clock, packet, receiver } = makeReceiver({
      sendRtcp: (each) => void sent.push(each),
      nack: true,
      localSsrc: 5,
    });
    const ntp = toNtp(clock.wallClockMs());
    for (let i = 0; i < 100; i++) {
      if (i % 10 !== 9) receiver.handlePacket(packet(i, tone[i % 50]!));
      if (i === 20) {
        const report = { ssrc: 7, cname: 'a', ntp, rtpTimestamp: 0, packetCount: 1, octetCount: 1 };
        receiver.handlePacket(buildSenderReport(report));
      }
      clock.advance(20);
    }
    const packets = sent.flatMap(parseRtcp);
    expect(
      packets
        .filter(({ type }) => type === 'nack')
        .flatMap((each) => (each as { sequenceNumbers: number[] }).sequenceNumbers),
    ).toEqual([9, 19, 29, 39, 49, 59, 69, 79, 89]);
    const report = packets.find(({ type }) => type === 'receiverReport')!;
    expect(report).toMatchObject({ ssrc: 5, reports: [{ ssrc: 7, cumulativeLost: 5 }] });
    const [block] = (report as { reports: { fractionLost: number; lastSenderReport: number }[] }).reports;
    expect(block!.fractionLost).toBeCloseTo(0.1, 1);
    expect(block!.lastSenderReport).toBe(Number((ntp >> 16n) & 0xffffffffn));
  });

  test('a process that was held up itself plays what it missed, and does not take it for jitter', () => {
    const { clock, open, packet, receiver, send } = makeReceiver();
    const { frames } = open();
    send(tone.slice(0, 25));
    clock.stall(300);
    for (let i = 25; i < 40; i++) receiver.handlePacket(packet(i, tone[i]!));
    clock.advance(0);
    send(tone.slice(40), 40);
    expect(receiver.stats()).toMatchObject({ samplesConcealed: 0, late: 0, targetDelayMs: 20 });
    expect(frames).toHaveLength(100);
  });
});

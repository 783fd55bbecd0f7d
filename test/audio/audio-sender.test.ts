import { describe, expect, test } from 'vitest';
import type { AudioSenderOptions } from '../../src/audio/audio-sender.js';
import { AudioSender, AudioSource, decodeAudioLevel, parseRed } from '../../src/audio/index.js';
import { Ticker } from '../../src/audio/ticker.js';
import { buildNack, buildReceiverReport, isRtcp, parseRtcp, parseRtp } from '../../src/rtp/index.js';
import { toNtp } from '../../src/rtp/rtcp.js';
import { makeTone } from '../support/tone.js';
import { ManualClock } from './manual-clock.js';

function makeSender(
  options: Partial<AudioSenderOptions> = {},
  { sampleRate = 48_000, numChannels = 1, queueSizeMs = 10_000 } = {},
) {
  const clock = new ManualClock();
  const ticker = new Ticker(clock);
  const source = new AudioSource({ sampleRate, numChannels, queueSizeMs, ticker });
  const packets: Buffer[] = [];
  const sender = new AudioSender({
    source,
    ssrc: 42,
    payloadTypes: { opus: 111 },
    dtx: false,
    numChannels: 1,
    bitrateBps: 32_000,
    send: (packet) => void packets.push(packet),
    ticker,
    random: () => 0.5,
    ...options,
  });
  sender.start();
  const talk = (ms: number) => {
    const { samples } = makeTone(440, ms, sampleRate, -20);
    const data = Int16Array.from(
      { length: samples.length * numChannels },
      (_, i) => samples[Math.floor(i / numChannels)]!,
    );
    return source.captureFrame({ data, sampleRate, numChannels, samplesPerChannel: samples.length });
  };
  const rtp = () => packets.filter((packet) => !isRtcp(packet)).map((packet) => parseRtp(packet)!);
  return { clock, source, sender, packets, rtp, talk };
}

describe('AudioSender', () => {
  test('sends a packet every 20 ms, numbered and timed', async () => {
    const { clock, rtp, talk } = makeSender();
    await talk(100);
    clock.advance(100);
    const [first, ...rest] = rtp();
    expect(rest).toHaveLength(4);
    expect(first).toMatchObject({ payloadType: 111, ssrc: 42, marker: true });
    rest.forEach((packet, i) => {
      expect(packet.sequenceNumber).toBe(first!.sequenceNumber + i + 1);
      expect(packet.timestamp).toBe(first!.timestamp + (i + 1) * 960);
      expect(packet.marker).toBe(false);
    });
  });

  test.each([
    [16_000, 1],
    [24_000, 1],
    [44_100, 1],
    [44_100, 2],
    [48_000, 2],
  ])('takes a source of %i Hz and %i channels', async (sampleRate, numChannels) => {
    const { clock, rtp, talk } = makeSender({}, { sampleRate, numChannels });
    await talk(200);
    clock.advance(200);
    expect(rtp()).toHaveLength(10);
  });

  test('goes on through silence, and cheaply so', async () => {
    const { clock, rtp, talk } = makeSender();
    await talk(100);
    clock.advance(3_100);
    const packets = rtp();
    expect(packets).toHaveLength(155);
    expect(packets.at(-1)!.payload).toEqual(packets.at(-2)!.payload);
    for (let i = 1; i < packets.length; i++) {
      expect(packets[i]!.timestamp - packets[i - 1]!.timestamp).toBe(960);
    }
  });

  test('with discontinuous transmission says nothing in silence but for a packet every 400 ms', async () => {
    const { clock, rtp, talk } = makeSender({ dtx: true });
    await talk(100);
    clock.advance(2_000);
    const before = rtp().length;
    clock.advance(4_000);
    expect(rtp().length - before).toBeLessThanOrEqual(11);
    expect(rtp().length - before).toBeGreaterThanOrEqual(9);
    await talk(100);
    clock.advance(100);
    const spurt = rtp().filter(({ marker }) => marker);
    expect(spurt.length).toBeGreaterThan(1);
    const elapsedUnits = 6_100 * 48;
    expect(rtp().at(-1)!.timestamp - rtp()[0]!.timestamp).toBe(elapsedUnits - 960);
  });

  test('with RED every packet carries the one before it', async () => {
    const { clock, rtp, talk } = makeSender({ payloadTypes: { opus: 111, red: 63 } });
    await talk(100);
    clock.advance(100);
    const packets = rtp();
    expect(packets.every(({ payloadType }) => payloadType === 63)).toBe(true);
    const blocks = packets.map(({ payload }) => parseRed(payload)!);
    expect(blocks[0]).toHaveLength(1);
    for (let i = 1; i < blocks.length; i++) {
      expect(blocks[i]!.map(({ timestampOffset }) => timestampOffset)).toEqual([960, 0]);
      expect(blocks[i]![0]!.payload).toEqual(blocks[i - 1]!.at(-1)!.payload);
    }
  });

  test('when the other side loses packets, RED carries the last two', async () => {
    const { clock, rtp, sender, talk } = makeSender({ payloadTypes: { opus: 111, red: 63 } });
    const report = {
      ssrc: 42,
      fractionLost: 0.25,
      cumulativeLost: 5,
      highestSequence: 0,
      jitter: 96,
      lastSenderReport: Number((toNtp(clock.wallClockMs() - 80) >> 16n) & 0xffffffffn),
      delaySinceLastSenderReport: 0,
    };
    sender.handleRtcp(buildReceiverReport(1, 'them', [report]));
    await talk(100);
    clock.advance(100);
    expect(parseRed(rtp().at(-1)!.payload)).toHaveLength(3);
    const { remote } = sender.stats();
    expect(remote).toMatchObject({ fractionLost: 0.25, packetsLost: 5, jitterMs: 2 });
    expect(remote!.roundTripMs).toBeCloseTo(80, 0);
  });

  test('muted, it sends silence and takes the source no slower', async () => {
    const { clock, rtp, sender, source, talk } = makeSender();
    sender.setMuted(true);
    await talk(200);
    clock.advance(200);
    expect(source.queuedMs).toBe(0);
    expect(rtp()).toHaveLength(10);
    expect(sender.stats().audioLevelDbov).toBe(-127);
    sender.setMuted(false);
    await talk(100);
    clock.advance(100);
    expect(sender.stats().audioLevelDbov).toBeGreaterThan(-25);
  });

  test('sends again what was asked for, twice at most', async () => {
    const { clock, packets, rtp, sender, talk } = makeSender();
    await talk(100);
    clock.advance(100);
    const lost = rtp()[2]!.sequenceNumber;
    for (let i = 0; i < 3; i++) sender.handleRtcp(buildNack(1, 42, [lost, lost + 10_000]));
    expect(rtp().filter(({ sequenceNumber }) => sequenceNumber === lost)).toHaveLength(3);
    const before = packets.length;
    sender.handleRtcp(buildNack(1, 99, [lost]));
    expect(packets).toHaveLength(before);
  });

  test('says its level and its media section in header extensions', async () => {
    const { clock, rtp, talk } = makeSender({
      audioLevelExtensionId: 1,
      midExtension: { id: 4, mid: 'audio-7' },
    });
    await talk(60);
    clock.advance(60);
    const { extensions } = rtp()[1]!;
    expect(decodeAudioLevel(extensions.get(1)!)).toEqual({ dbov: -20, voice: true });
    expect(extensions.get(4)!.toString()).toBe('audio-7');
  });

  test('reports every five seconds what it has sent', async () => {
    const { clock, packets, talk } = makeSender();
    await talk(1_000);
    clock.advance(11_000);
    const reports = packets.filter(isRtcp).flatMap(parseRtcp);
    expect(reports.map(({ type }) => type)).toEqual(['senderReport', 'senderReport', 'senderReport']);
    expect(reports[1]).toMatchObject({ ssrc: 42, packetCount: expect.any(Number) });
  });

  test('without a queue, a pause of the program is a pause in media time', async () => {
    const { clock, rtp, talk } = makeSender({}, { queueSizeMs: 0 });
    const talkTwice = async () => {
      for (let i = 0; i < 2; i++) {
        await talk(10);
        clock.advance(10);
      }
    };
    await talkTwice();
    clock.advance(1_000);
    await talkTwice();
    const [first, second] = rtp();
    expect(second!.timestamp - first!.timestamp).toBe(960 + 48_000);
    expect(second!.marker).toBe(true);
  });

  test('closed, it sends nothing and lets go of the source', async () => {
    const { clock, packets, sender, source, talk } = makeSender();
    await talk(40);
    clock.advance(40);
    sender.close();
    sender.close();
    const before = packets.length;
    await talk(40);
    clock.advance(100);
    sender.handleRtcp(buildNack(1, 42, [1]));
    expect(packets).toHaveLength(before);
    source.close();
    expect(clock.pendingTimers).toBe(0);
  });
});

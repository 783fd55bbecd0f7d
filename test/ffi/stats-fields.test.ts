import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { describeWith } from '../support/parts.js';
import { type Engine, Program } from '../support/program.mjs';
import { makeToken } from '../support/token.mjs';
import { House } from './house.js';

const script = fileURLToPath(new URL('programs/counted.mjs', import.meta.url));

type Fields = Record<string, number | string | boolean>;
/** One statistics entry: its kind, and its fields by their path. */
interface Entry {
  kind: string;
  fields: Fields;
}
interface Counted {
  samplesCaptured: number;
  framesCaptured: number;
  samplesHeard: number;
  framesSeen: number;
  messages: number;
}
interface Statistics {
  tracks: Record<string, Entry[]>;
  session: Entry[];
  publisher: Entry[];
  counted: Counted;
  atMs: number;
}
type RawEntry = { name: string } & Record<string, Record<string, unknown>>;

function flat(value: object, path = ''): Fields {
  const fields: Fields = {};
  for (const [name, field] of Object.entries(value)) {
    if (field !== null && typeof field === 'object') Object.assign(fields, flat(field, `${path}${name}.`));
    else fields[`${path}${name}`] = field;
  }
  return fields;
}

/** Entries of streams, sources and codecs count by what they are of. */
function entryOf({ name, ...value }: RawEntry): Entry {
  const fields = flat(value);
  const media =
    fields['stream.kind'] ?? fields['source.kind'] ?? String(fields['codec.mimeType'] ?? '').split('/')[0];
  return { kind: media ? `${name} of ${media}` : name, fields };
}

async function statistics(program: Program): Promise<Statistics> {
  const { tracks, publisher, subscriber, counted, atMs } = await program.call<{
    tracks: Record<string, RawEntry[]>;
    publisher: RawEntry[];
    subscriber: RawEntry[];
    counted: Counted;
    atMs: number;
  }>('stats');
  return {
    tracks: Object.fromEntries(Object.entries(tracks).map(([name, entries]) => [name, entries.map(entryOf)])),
    session: [...publisher, ...subscriber].map(entryOf),
    publisher: publisher.map(entryOf),
    counted,
    atMs,
  };
}

/** The only entry of a kind. */
function only(entries: readonly Entry[], kind: string): Fields {
  const found = entries.filter((entry) => entry.kind === kind);
  expect(found, kind).toHaveLength(1);
  return found[0]!.fields;
}

const number = (fields: Fields, name: string) => fields[name] as number;

const filled = (entries: readonly Entry[]): Set<string> =>
  new Set(
    entries.flatMap(({ kind, fields }) =>
      Object.entries(fields)
        .filter(([, value]) => value !== 0 && value !== '' && value !== false && value !== undefined)
        .map(([name]) => `${kind}: ${name}`),
    ),
  );

/** What the native engine fills and ours does not, and why. */
const exceptions: Record<string, string> = {
  'codec of video: codec.sdpFmtpLine': "the native engine's own parameter, x-livekit-video-encoder-backend",
  'candidatePair: candidatePair.availableIncomingBitrate':
    'only the sender estimates: a receiver reports which packets came, and when',
  'candidatePair: candidatePair.availableOutgoingBitrate':
    'nothing is sent over the connection for receiving, so nothing is estimated; filled for the other',
  'outboundRtp of video: outbound.qpSum': 'the codec package does not give the quantizer',
  'inboundRtp of video: inbound.qpSum': 'the codec package does not give the quantizer',
  'outboundRtp of audio: outbound.totalPacketSendDelay': 'audio does not wait for a pacer: it is zero',
  'outboundRtp of video: outbound.totalPacketSendDelay': 'the pacer does not time single packets',
  'inboundRtp of video: inbound.jitterBufferTargetDelay':
    'a frame is decoded as soon as it is whole: no delay is aimed at',
  'inboundRtp of video: inbound.jitterBufferMinimumDelay':
    'a frame is decoded as soon as it is whole: no delay is aimed at',
};
/** Counts of what may or may not happen in a call; zero is as true. */
const byChance =
  /packetsLost|packetsDiscarded|oncealed|concealment|Deceleration|Acceleration|nackCount|pliCount|retransmitted|framesDropped|reeze|fractionLost|hugeFramesSent|FromMultiplePackets|totalAssemblyTime|currentRoundTripTime|qualityLimitation/;

function expectAllFilled(native: readonly Entry[], ours: readonly Entry[]): void {
  const filledByUs = filled(ours);
  const missing = [...filled(native)].filter(
    (field) => !filledByUs.has(field) && !(field in exceptions) && !byChance.test(field),
  );
  expect(missing).toEqual([]);
}

describeWith(['livekit-server', 'native engine'], 'statistics, beside those of the native engine', () => {
  const house = new House();
  const programs: Program[] = [];
  let native: Statistics;
  let ours: Statistics;
  let oursLater: Statistics;
  let nativeLater: Statistics;

  async function join(engine: Engine): Promise<Program> {
    const program = new Program(script, { engine });
    programs.push(program);
    await program.waitFor('started');
    const token = await makeToken(house.server, house.room, engine);
    await program.call('connect', { url: house.server.url, token });
    return program;
  }

  beforeAll(async () => {
    const both = [await join('native'), await join('offhook')] as const;
    await Promise.all(both.map((program) => program.call('publish')));
    await Promise.all(both.map((program) => program.waitFor('seen')));
    await Promise.all(both.map((program) => program.call('sendData', { bytes: 1_000 })));
    await Promise.all(both.map((program) => program.waitFor('data')));
    // Reports come every few seconds.
    [native, ours] = await vi.waitUntil(
      async () => {
        const now = await Promise.all(both.map(statistics));
        // A round trip is known once the other side has seen a report of ours.
        const isReported = now.every(({ session }) =>
          ['audio', 'video'].every(
            (media) =>
              session.some(({ kind }) => kind === `remoteOutboundRtp of ${media}`) &&
              session.some(
                ({ kind, fields }) =>
                  kind === `remoteInboundRtp of ${media}` &&
                  number(fields, 'remoteInbound.roundTripTimeMeasurements') > 0 &&
                  // Of a report that came at once, it is below what RTCP can say.
                  number(fields, 'remoteInbound.roundTripTime') > 0,
              ),
          ),
        );
        return isReported && (now as [Statistics, Statistics]);
      },
      { timeout: 30_000, interval: 500 },
    );
    [nativeLater, oursLater] = (await Promise.all(both.map(statistics))) as [Statistics, Statistics];
  }, 60_000);
  afterAll(async () => {
    await Promise.all(programs.map((program) => program.stop()));
  });

  for (const track of ['local audio', 'local video', 'remote audio', 'remote video']) {
    test(`of a ${track} track have every field that the native engine fills`, () => {
      expectAllFilled(native.tracks[track]!, ours.tracks[track]!);
    });
  }

  test('of a session have every field that the native engine fills', () => {
    expectAllFilled(native.session, ours.session);
  });

  test('have identifiers of their own, and name others that are in the same list', () => {
    for (const entries of [...Object.values(ours.tracks), ours.publisher, ours.session]) {
      const ids = new Set(entries.map(({ fields }) => fields['rtc.id']));
      // The certificate of the process is that of both connections of a session.
      if (entries !== ours.session) expect(ids.size).toBe(entries.length);
      for (const { kind, fields } of entries) {
        for (const [name, value] of Object.entries(fields)) {
          const isReference = /\.(\w+Id|selectedCandidatePairId)$/.test(name) && value !== '';
          if (isReference) expect(ids, `${kind}: ${name}`).toContain(value);
        }
      }
    }
  });

  describe.each(['audio', 'video'])('of %s', (media) => {
    const inboundOf = (side: Statistics) => only(side.session, `inboundRtp of ${media}`);
    const outboundOf = (side: Statistics) => only(side.session, `outboundRtp of ${media}`);

    test('count what the other side counts', () => {
      for (const [sender, receiver, before] of [
        [oursLater, nativeLater, native],
        [nativeLater, oursLater, ours],
      ] as const) {
        const sent = outboundOf(sender);
        // Both are read at about the same time; a subscriber misses what was sent before it was there.
        const packets = number(inboundOf(receiver), 'received.packetsReceived');
        expect(packets).toBeGreaterThan(number(sent, 'sent.packetsSent') * 0.5);
        expect(number(inboundOf(before), 'received.packetsReceived')).toBeLessThanOrEqual(
          number(sent, 'sent.packetsSent'),
        );
        const bytesPerPacket = (fields: Fields, bytes: string, count: string) =>
          number(fields, bytes) / number(fields, count);
        const perSent = bytesPerPacket(sent, 'sent.bytesSent', 'sent.packetsSent');
        const perReceived = bytesPerPacket(
          inboundOf(receiver),
          'inbound.bytesReceived',
          'received.packetsReceived',
        );
        expect(perReceived / perSent).toBeGreaterThan(0.8);
        expect(perReceived / perSent).toBeLessThan(1.25);
      }
    });

    test('have the codec and the payload type of the native engine', () => {
      const codecOf = (side: Statistics, track: string) => {
        const {
          'codec.mimeType': name,
          'codec.payloadType': payloadType,
          'codec.clockRate': rate,
          'codec.channels': channels,
        } = only(side.tracks[track]!, `codec of ${media}`);
        return { name: String(name).toLowerCase(), payloadType, rate, channels };
      };
      for (const track of [`local ${media}`, `remote ${media}`])
        expect(codecOf(ours, track)).toEqual(codecOf(native, track));
    });

    test('have the reports of the other side: what it sent, and how long a packet takes', () => {
      const remote = only(oursLater.session, `remoteOutboundRtp of ${media}`);
      const received = inboundOf(oursLater);
      expect(number(remote, 'sent.packetsSent')).toBeLessThanOrEqual(
        number(received, 'received.packetsReceived') + number(received, 'received.packetsLost') + 50,
      );
      expect(Math.abs(number(remote, 'remoteOutbound.remoteTimestamp') - oursLater.atMs)).toBeLessThan(
        30_000,
      );
      const reported = only(oursLater.session, `remoteInboundRtp of ${media}`);
      const measured = number(reported, 'remoteInbound.roundTripTimeMeasurements');
      expect(measured).toBeGreaterThan(0);
      expect(number(reported, 'remoteInbound.totalRoundTripTime') / measured).toBeLessThan(10);
    });
  });

  test('of an audio track count the samples that the program captured and heard', () => {
    const { counted, tracks } = oursLater;
    const source = only(tracks['local audio']!, 'mediaSource of audio');
    const queued = 48_000;
    expect(number(source, 'audio.totalSamplesCaptured')).toBeLessThanOrEqual(counted.samplesCaptured);
    expect(number(source, 'audio.totalSamplesCaptured')).toBeGreaterThan(
      counted.samplesCaptured - 2 * queued,
    );
    expect(number(source, 'audio.totalSamplesDuration')).toBeCloseTo(
      number(source, 'audio.totalSamplesCaptured') / 48_000,
      6,
    );
    const inbound = only(tracks['remote audio']!, 'inboundRtp of audio');
    expect(Math.abs(number(inbound, 'inbound.totalSamplesReceived') - counted.samplesHeard)).toBeLessThan(
      24_000,
    );
    // The tone of a quarter of full scale.
    const rms = 0.25 / Math.SQRT2;
    expect(number(source, 'audio.audioLevel')).toBeCloseTo(rms, 1);
    expect(number(inbound, 'inbound.audioLevel')).toBeCloseTo(rms, 1);
    const power =
      number(inbound, 'inbound.totalAudioEnergy') / number(inbound, 'inbound.totalSamplesDuration');
    expect(power).toBeGreaterThan(0.5 * rms * rms);
    expect(power).toBeLessThan(1.2 * rms * rms);
    const delayMs =
      (1_000 * number(inbound, 'inbound.jitterBufferDelay')) /
      number(inbound, 'inbound.jitterBufferEmittedCount');
    expect(delayMs).toBeGreaterThan(1);
    expect(delayMs).toBeLessThan(1_000);
  });

  test('of a video track count the pictures that the program captured and saw', () => {
    const { counted, tracks } = oursLater;
    const source = only(tracks['local video']!, 'mediaSource of video');
    expect(Math.abs(number(source, 'video.frames') - counted.framesCaptured)).toBeLessThan(30);
    expect(source).toMatchObject({ 'video.width': 320, 'video.height': 180 });
    const outbound = only(tracks['local video']!, 'outboundRtp of video');
    expect(number(outbound, 'outbound.framesEncoded')).toBeLessThanOrEqual(counted.framesCaptured);
    const inbound = only(tracks['remote video']!, 'inboundRtp of video');
    expect(Math.abs(number(inbound, 'inbound.framesDecoded') - counted.framesSeen)).toBeLessThan(30);
    expect(inbound).toMatchObject({ 'inbound.frameWidth': 320, 'inbound.frameHeight': 180 });
    const interval =
      number(inbound, 'inbound.totalInterFrameDelay') / (number(inbound, 'inbound.framesDecoded') - 1);
    expect(interval).toBeGreaterThan(0.04);
    expect(interval).toBeLessThan(0.2);
  });

  test('of data channels count the packets of the programs', () => {
    const reliable = ours.session.filter(
      ({ kind, fields }) => kind === 'dataChannel' && fields['dc.label'] === '_reliable',
    );
    const sum = (name: string) => reliable.reduce((total, { fields }) => total + number(fields, name), 0);
    expect(sum('dc.messagesSent')).toBe(1);
    expect(sum('dc.messagesReceived')).toBe(1);
    // The native engine's channel carried the same two packets, which name their senders when they come.
    const theirs = only(
      native.session.filter(({ fields }) => fields['dc.label'] === '_reliable'),
      'dataChannel',
    );
    expect(Math.abs(sum('dc.bytesSent') - number(theirs, 'dc.bytesSent'))).toBeLessThan(100);
    expect(sum('dc.bytesReceived')).toBeGreaterThan(1_000);
  });

  test('of a transport fit its packets, its certificates and the address of the server', () => {
    const { publisher } = oursLater;
    const transport = only(publisher, 'transport');
    const pair = only(publisher, 'candidatePair');
    expect(pair['rtc.id']).toBe(transport['transport.selectedCandidatePairId']);
    const streams = publisher.filter(({ kind }) => kind.startsWith('outboundRtp'));
    const packets = streams.reduce((sum, { fields }) => sum + number(fields, 'sent.packetsSent'), 0);
    const bytes = streams.reduce(
      (sum, { fields }) =>
        sum + number(fields, 'sent.bytesSent') + number(fields, 'outbound.headerBytesSent'),
      0,
    );
    expect(number(transport, 'transport.packetsSent')).toBeGreaterThanOrEqual(packets);
    expect(number(transport, 'transport.bytesSent')).toBeGreaterThan(bytes);
    const remote = publisher.find(
      ({ fields }) => fields['rtc.id'] === pair['candidatePair.remoteCandidateId'],
    );
    expect(remote?.fields).toMatchObject({
      'candidate.port': house.server.udpPort,
      'candidate.protocol': 'udp',
    });
    for (const time of ['lastPacketSentTimestamp', 'lastPacketReceivedTimestamp'])
      expect(Math.abs(number(pair, `candidatePair.${time}`) - oursLater.atMs)).toBeLessThan(30_000);
    expect(number(pair, 'candidatePair.responsesReceived')).toBeLessThanOrEqual(
      number(pair, 'candidatePair.requestsSent'),
    );
    expect(number(pair, 'candidatePair.responsesSent')).toBe(number(pair, 'candidatePair.requestsReceived'));
  });
});

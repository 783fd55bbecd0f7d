import { afterEach, expect, test, vi } from 'vitest';
import { RoomLeg } from '../../src/sip/gateway/room-leg.js';
import { Mixer } from '../../src/sip/media/mixer.js';
import { GatewayHouse } from './gateway-house.js';
import { RawPeer, requestOf } from './raw-peer.js';
import { RtpPeer } from './rtp-peer.js';
import { until } from './until.js';
import { ToneWorker } from './worker.js';

/*
 * The µ-law of ITU-T G.711, written from its tables 2a and 2b and from nothing else: eight segments that end at these
 * values, each with intervals of twice the width. Values have 14 bits there, and 16 here.
 */
const segmentEnds = [31, 95, 223, 479, 991, 2_015, 4_063, 8_159];
const decisions = [0, 1];
for (const [segment, end] of segmentEnds.entries()) {
  while (decisions.at(-1)! < end) decisions.push(decisions.at(-1)! + 2 ** (segment + 1));
}
const values = Array.from({ length: 128 }, (_, n) => (n === 0 ? 0 : (decisions[n]! + decisions[n + 1]!) / 2));

function referenceDecode(codes: Uint8Array): Int16Array {
  return Int16Array.from(codes, (code) => 4 * (code >= 0x80 ? values[0xff - code]! : -values[0x7f - code]!));
}

function referenceEncode(samples: readonly number[]): Buffer {
  return Buffer.from(
    samples.map((sample) => {
      const size = Math.abs(sample) / 4;
      const beyond = decisions.findIndex((decision) => size < decision);
      const n = Math.min(127, (beyond < 0 ? decisions.length : beyond) - 1);
      return (sample < 0 ? 0x7f : 0xff) - n;
    }),
  );
}

const bytesOf = ({ buffer, byteOffset, byteLength }: Int16Array) =>
  Buffer.from(buffer, byteOffset, byteLength);

afterEach(() => vi.restoreAllMocks());

test('the reference has the ends of G.711’s tables', () => {
  expect([decisions.length, values[1], values[16], values[127]]).toEqual([129, 2, 33, 8_031]);
  expect([...referenceDecode(Uint8Array.of(0xff, 0x7f, 0x80, 0x00, 0xfe, 0x7e))]).toEqual([
    0, 0, 32_124, -32_124, 8, -8,
  ]);
});

/**
 * Between the telephone's packets and the samples that the room is given there is nothing but G.711; what follows, Opus,
 * keeps no sample. Where this process is held up, the jitter buffer stretches or makes up samples: then the comparison waits
 * for a second in which it does not.
 */
test('a call in PCMU has the samples of G.711 both ways: what the room is given, and what the telephone gets', async () => {
  const givenToRoom: number[] = [];
  const givenToPhone: number[] = [];
  const { pushAudio } = RoomLeg.prototype;
  vi.spyOn(RoomLeg.prototype, 'pushAudio').mockImplementation(function (this: RoomLeg, samples, sampleRate) {
    expect(sampleRate).toBe(8_000);
    givenToRoom.push(...samples);
    return pushAudio.call(this, samples, sampleRate);
  });
  const { take } = Mixer.prototype;
  vi.spyOn(Mixer.prototype, 'take').mockImplementation(function (this: Mixer) {
    const samples = take.call(this);
    givenToPhone.push(...samples);
    return samples;
  });

  const house = await GatewayHouse.open();
  const worker = await ToneWorker.start(house.server);
  const peer = await RawPeer.open(house.gateway.port);
  const media = await RtpPeer.open();
  try {
    peer.send(requestOf(peer, 'INVITE', 'exact', [], media.sdp()));
    const { status, to, body } = await peer.final('exact');
    expect(status).toBe(200);
    media.follow(body);
    const tagged = `To: <sip:1234@127.0.0.1>;tag=${to.params.get('tag')}`;
    peer.send(requestOf(peer, 'ACK', 'exact').replace('To: <sip:1234@127.0.0.1>', tagged));

    const said: number[] = [];
    let seed = 1;
    media.keepSaying(() => {
      const codes = Uint8Array.from({ length: 160 }, () => {
        seed = (seed * 48_271) % 0x7fffffff;
        return seed & 0xff;
      });
      said.push(...codes);
      return codes;
    });

    const hasExactSecond = () => {
      const last = Int16Array.from(givenToRoom.slice(-8_000));
      return last.length === 8_000 && bytesOf(referenceDecode(Uint8Array.from(said))).includes(bytesOf(last));
    };
    await until(
      hasExactSecond,
      'the room is given a second of what the telephone says, to the sample',
      40_000,
    );
    expect(new Set(said.slice(-8_000)).size).toBe(256);

    const gotExactSecond = () => {
      const last = media.packets.slice(-50);
      const isWhole = last.every(
        ({ sequenceNumber }, i) => sequenceNumber === ((last[0]!.sequenceNumber + i) & 0xffff),
      );
      const codes = Buffer.concat(last.map(({ payload }) => payload));
      const isTone = new Set(codes).size > 8;
      return codes.length === 8_000 && isWhole && isTone && referenceEncode(givenToPhone).includes(codes);
    };
    await until(gotExactSecond, 'the telephone gets a second of what it is given, to the sample', 40_000);
  } finally {
    media.close();
    peer.close();
    await worker.stop();
    await house.close();
  }
}, 100_000);

import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  SrtpContext,
  type SrtpMasterKey,
  type SrtpProfile,
  srtpProfiles,
} from '../../../src/transport/srtp/index.js';

const profiles = Object.keys(srtpProfiles) as SrtpProfile[];

function masterKey(profile: SrtpProfile): SrtpMasterKey {
  return {
    key: randomBytes(srtpProfiles[profile].keyBytes),
    salt: randomBytes(srtpProfiles[profile].saltBytes),
  };
}

function contextPair(profile: SrtpProfile): [SrtpContext, SrtpContext] {
  const one = masterKey(profile);
  const other = masterKey(profile);
  return [new SrtpContext(profile, one, other), new SrtpContext(profile, other, one)];
}

interface RtpFields {
  ssrc?: number;
  sources?: number;
  extensionWords?: number;
  payload?: Buffer;
}

function rtp(sequenceNumber: number, fields: RtpFields = {}): Buffer {
  const {
    ssrc = 0x11223344,
    sources = 0,
    extensionWords = -1,
    payload = Buffer.from('twenty ms of sound'),
  } = fields;
  const header = Buffer.alloc(12 + 4 * sources + (extensionWords < 0 ? 0 : 4 + 4 * extensionWords), 0xcc);
  header[0] = 0x80 | (extensionWords < 0 ? 0 : 0x10) | sources;
  header[1] = 111;
  header.writeUInt16BE(sequenceNumber, 2);
  header.writeUInt32BE(960 * sequenceNumber, 4);
  header.writeUInt32BE(ssrc, 8);
  if (extensionWords >= 0) header.writeUInt16BE(extensionWords, 12 + 4 * sources + 2);
  return Buffer.concat([header, payload]);
}

function rtcp(ssrc = 0x11223344, words = 6): Buffer {
  const packet = Buffer.alloc(8 + 4 * words, 0x5a);
  packet[0] = 0x80;
  packet[1] = 200;
  packet.writeUInt16BE(words + 1, 2);
  packet.writeUInt32BE(ssrc, 4);
  return packet;
}

describe.each(profiles)('an SRTP context with %s', (profile) => {
  test('gives back what the other end protected, whatever header and payload it has', () => {
    const [sender, receiver] = contextPair(profile);
    let sequenceNumber = 0;
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 15 }),
        fc.integer({ min: -1, max: 20 }),
        fc.uint8Array({ maxLength: 1400 }),
        (sources, extensionWords, payload) => {
          const packet = rtp(sequenceNumber++, { sources, extensionWords, payload: Buffer.from(payload) });
          const before = Buffer.from(packet);
          const sent = sender.protectRtp(packet);
          expect(packet).toEqual(before);
          expect(sent.length).toBe(packet.length + srtpProfiles[profile].rtpTagBytes);
          const plainLength = packet.length - payload.length;
          expect(sent.subarray(0, plainLength)).toEqual(packet.subarray(0, plainLength));
          if (payload.length > 8) expect(sent.includes(Buffer.from(payload))).toBe(false);
          expect(receiver.unprotectRtp(sent)).toEqual(packet);
        },
      ),
    );
  });

  test('gives back compound RTCP', () => {
    const [sender, receiver] = contextPair(profile);
    for (const words of [0, 1, 6, 300]) {
      const packet = rtcp(5, words);
      const sent = sender.protectRtcp(packet);
      expect(receiver.unprotectRtcp(sent)).toEqual(packet);
    }
  });

  test('drops and counts a packet with any bit changed, and state comes from authentic packets only', () => {
    fc.assert(
      fc.property(fc.nat(), fc.boolean(), (position, control) => {
        const [sender, receiver] = contextPair(profile);
        const sent = control ? sender.protectRtcp(rtcp()) : sender.protectRtp(rtp(7));
        const bit = position % (8 * sent.length);
        sent[bit >> 3]! ^= 1 << (bit & 7);
        expect(control ? receiver.unprotectRtcp(sent) : receiver.unprotectRtp(sent)).toBeUndefined();
        const { malformed, unauthentic, replayed } = receiver.dropped;
        expect(malformed + unauthentic + replayed).toBe(1);
        expect(receiver.receivedStreamCount).toBe(0);
      }),
      { numRuns: 300 },
    );
  });

  test('drops a packet that it has received, in whatever order packets come', () => {
    fc.assert(
      fc.property(
        fc.nat(0xffff),
        fc.shuffledSubarray([...Array(200).keys()], { minLength: 1 }),
        fc.array(fc.nat(199), { maxLength: 50 }),
        (first, order, again) => {
          const [sender, receiver] = contextPair(profile);
          // The sender counts in order; the first packet arrives first, for that is where the receiver starts from.
          const sent = [...Array(201).keys()].map((i) => sender.protectRtp(rtp((first + i) & 0xffff)));
          expect(receiver.unprotectRtp(Buffer.from(sent[0]!))).toBeDefined();
          for (const i of order) expect(receiver.unprotectRtp(Buffer.from(sent[i + 1]!))).toBeDefined();
          for (const i of again) {
            const isNew = !order.includes(i);
            expect(receiver.unprotectRtp(Buffer.from(sent[i + 1]!)) !== undefined).toBe(isNew);
            if (isNew) order.push(i);
          }
        },
      ),
      { numRuns: 20 },
    );
  });

  test('drops RTCP that it has received', () => {
    const [sender, receiver] = contextPair(profile);
    const sent = [1, 2, 3].map(() => sender.protectRtcp(rtcp()));
    for (const i of [2, 0, 1]) expect(receiver.unprotectRtcp(Buffer.from(sent[i]!))).toBeDefined();
    for (const i of [2, 0, 1]) expect(receiver.unprotectRtcp(Buffer.from(sent[i]!))).toBeUndefined();
    expect(receiver.dropped.replayed).toBe(3);
  });

  test('follows sequence numbers around, through gaps shorter than half of them', () => {
    const [sender, receiver] = contextPair(profile);
    for (let i = 60_000; i < 400_000; i += 1 + (i % 3 === 0 ? 20_000 : 7)) {
      const packet = rtp(i & 0xffff);
      expect(receiver.unprotectRtp(sender.protectRtp(packet)), `packet ${i}`).toEqual(packet);
    }
  });

  test('hears a stream whose first packets were lost before its sequence numbers began again', () => {
    const [sender, receiver] = contextPair(profile);
    for (const lost of [65_533, 65_534, 65_535, 0, 1]) sender.protectRtp(rtp(lost));
    for (const sequenceNumber of [3, 2, 4]) {
      const packet = rtp(sequenceNumber);
      expect(receiver.unprotectRtp(sender.protectRtp(packet))).toEqual(packet);
    }
  });

  test('takes late packets from before the sequence numbers began again', () => {
    const [sender, receiver] = contextPair(profile);
    const packets = [65_534, 65_535, 0, 1].map((sequenceNumber) => rtp(sequenceNumber));
    const sent = packets.map((packet) => sender.protectRtp(packet));
    for (const i of [0, 3, 1, 2]) expect(receiver.unprotectRtp(sent[i]!)).toEqual(packets[i]);
  });

  test('encrypts a packet that is sent again, later, to the same bytes', () => {
    const [sender] = contextPair(profile);
    const first = sender.protectRtp(rtp(65_535));
    sender.protectRtp(rtp(0));
    expect(sender.protectRtp(rtp(65_535))).toEqual(first);
  });

  test('drops what was protected by itself', () => {
    const [sender] = contextPair(profile);
    expect(sender.unprotectRtp(sender.protectRtp(rtp(1)))).toBeUndefined();
    expect(sender.unprotectRtcp(sender.protectRtcp(rtcp()))).toBeUndefined();
  });

  test('keeps a bounded number of streams, and those that were used last', () => {
    const [sender, receiver] = contextPair(profile);
    for (let ssrc = 1; ssrc <= 3000; ssrc++) {
      expect(receiver.unprotectRtp(sender.protectRtp(rtp(ssrc & 0xffff, { ssrc: 7 })))).toBeDefined();
      receiver.unprotectRtp(sender.protectRtp(rtp(5, { ssrc: 1000 + ssrc })));
    }
    expect(receiver.receivedStreamCount).toBe(1024);
    expect(receiver.dropped).toEqual({ malformed: 0, unauthentic: 0, replayed: 0 });
  });

  test('drops any bytes that are no packet', () => {
    const [, receiver] = contextPair(profile);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), fc.boolean(), (bytes, looksRight) => {
        const packet = Buffer.from(bytes);
        if (looksRight && packet.length > 0) packet[0] = 0x80 | (packet[0]! & 0x3f);
        expect(receiver.unprotectRtp(Buffer.from(packet))).toBeUndefined();
        expect(receiver.unprotectRtcp(Buffer.from(packet))).toBeUndefined();
      }),
      { numRuns: 1000 },
    );
    expect(receiver.receivedStreamCount).toBe(0);
  });

  test('refuses to protect what is no packet, and keys of another length', () => {
    const [sender] = contextPair(profile);
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(40), rtp(1, { sources: 15 }).subarray(0, 60)]) {
      expect(() => sender.protectRtp(bytes)).toThrow(
        expect.objectContaining({ code: 'OFFHOOK_INVALID_REQUEST' }),
      );
      expect(() => sender.protectRtcp(bytes.subarray(0, 7))).toThrow(
        expect.objectContaining({ code: 'OFFHOOK_INVALID_REQUEST' }),
      );
    }
    const short = { key: randomBytes(15), salt: randomBytes(14) };
    expect(() => new SrtpContext(profile, short, short)).toThrow(
      expect.objectContaining({ code: 'OFFHOOK_INVALID_REQUEST' }),
    );
  });
});

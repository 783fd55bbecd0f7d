import { expect, test } from 'vitest';
import {
  DataTrackError,
  FrameLane,
  readTrackHandle,
  readTrackPacket,
  type SealedTrackFrame,
  TrackDepacketizer,
  TrackPacketizer,
  withTrackHandle,
} from '../../src/data/index.js';
import { limits } from '../../src/limits.js';

const frame = (payload: Uint8Array, more: Partial<SealedTrackFrame> = {}): SealedTrackFrame => ({
  payload,
  userTimestamp: undefined,
  encryption: undefined,
  ...more,
});
const bytesOf = (length: number) => Buffer.from(Array.from({ length }, (_, index) => (index * 7) & 0xff));

function receiver() {
  const drops: string[] = [];
  const depacketizer = new TrackDepacketizer((reason) => drops.push(reason));
  const push = (packets: readonly Uint8Array[]) =>
    packets.flatMap((packet) => depacketizer.push(readTrackPacket(packet)) ?? []);
  return { depacketizer, push, drops };
}

test('a packet is laid out as LiveKit’s other clients have it', () => {
  const packetizer = new TrackPacketizer(0x0102, { random: () => 0, nowMs: () => 0 });
  const [plain] = packetizer.packetize(frame(Buffer.from('data')));
  expect(plain!.toString('hex')).toBe(`18 00 0102 0000 0000 00000000 64617461`.replaceAll(' ', ''));
  const encryption = { keyIndex: 5, iv: Buffer.from('0123456789ab') };
  const [full] = packetizer.packetize(frame(Buffer.from('data'), { userTimestamp: 258n, encryption }));
  expect(full!.toString('hex')).toBe(
    `1c 00 0102 0001 0001 00000000 0006 010d05 ${encryption.iv.toString('hex')} 0208 0000000000000102 00 64617461`.replaceAll(
      ' ',
      '',
    ),
  );
});

test('what is written is read again', () => {
  const packetizer = new TrackPacketizer(7);
  const encryption = { keyIndex: 255, iv: bytesOf(12) };
  const [bytes] = packetizer.packetize(frame(bytesOf(100), { userTimestamp: 2n ** 64n - 1n, encryption }));
  expect(readTrackPacket(bytes!)).toMatchObject({
    position: 'single',
    handle: 7,
    userTimestamp: 2n ** 64n - 1n,
    payload: bytesOf(100),
    encryption: { keyIndex: 255, iv: bytesOf(12) },
  });
  expect(readTrackHandle(withTrackHandle(bytes!, 65_535))).toBe(65_535);
});

test('extensions of a later protocol are passed over', () => {
  const header = Buffer.from('1c0000010000000000000000', 'hex');
  const extensions = Buffer.from(
    '0005 00 09020102 020a0000000000000003ffff 00 0000'.replaceAll(' ', ''),
    'hex',
  );
  const packet = readTrackPacket(Buffer.concat([header, extensions, Buffer.alloc(2), Buffer.from('x')]));
  expect(packet.userTimestamp).toBe(3n);
});

test.each([
  ['nothing', ''],
  ['a cut header', '18000001'],
  ['another version', '380000010000000000000000'],
  ['no track', '180000000000000000000000'],
  ['no length of its extensions', '1c0000010000000000000000'],
  ['extensions beyond its end', '1c00000100000000000000000001'],
  ['an extension beyond the others', '1c000001000000000000000000000240'],
])('a packet with %s is refused', (_what, hex) => {
  expect(() => readTrackPacket(Buffer.from(hex, 'hex'))).toThrow('a data track packet cannot be parsed');
});

test('frames of any length come whole', () => {
  const packetizer = new TrackPacketizer(1);
  for (const length of [1, 15_988, 15_989, 31_976, 31_977, 128 * 15_988]) {
    const { push, drops } = receiver();
    const [received] = push(packetizer.packetize(frame(bytesOf(length))));
    expect(Buffer.from(received!.payload).equals(bytesOf(length))).toBe(true);
    expect(drops).toEqual([]);
  }
  expect(packetizer.packetize(frame(bytesOf(0)))).toEqual([]);
  expect(() => packetizer.packetize(frame(bytesOf(128 * 15_988 + 1)))).toThrow(DataTrackError);
});

test('sequence and frame numbers go on from the largest', () => {
  const packetizer = new TrackPacketizer(1);
  const { push } = receiver();
  for (let count = 0; count < 65_535; count++) packetizer.packetize(frame(bytesOf(1)));
  const [received] = push(packetizer.packetize(frame(bytesOf(40_000))));
  expect(received!.payload).toHaveLength(40_000);
});

test('a frame of which a packet is lost is dropped, and the next one comes', () => {
  const packetizer = new TrackPacketizer(1);
  const long = () => packetizer.packetize(frame(bytesOf(40_000)));
  for (const lost of [0, 1, 2]) {
    const { push, drops } = receiver();
    const incomplete = long().filter((_, index) => index !== lost);
    expect(push([...incomplete, ...long()])).toHaveLength(1);
    expect(drops.length).toBeGreaterThan(0);
  }
});

test('packets of two frames may overtake each other where the program asked for that', () => {
  const packetizer = new TrackPacketizer(1);
  const [one, other] = [1, 2].map(() => packetizer.packetize(frame(bytesOf(40_000))));
  const mixed = one!.flatMap((packet, index) => [packet, other![index]!]);
  expect(receiver().push(mixed)).toHaveLength(1);
  const tolerant = receiver();
  tolerant.depacketizer.maxPartialFrames = 2;
  expect(tolerant.push(mixed)).toHaveLength(2);
});

test('a frame that never ends holds no more than the limit', () => {
  const { push, drops } = receiver();
  const [start, middle] = new TrackPacketizer(1).packetize(frame(bytesOf(48_000)));
  push([start!]);
  const endless = Array.from({ length: 200 }, (_, index) => {
    const packet = Buffer.concat([middle!, bytesOf(90_000)]);
    packet.writeUInt16BE(index + 1, 4);
    return packet;
  });
  push(endless);
  expect(drops[0]).toContain('too long');
});

function channel() {
  const sent: Uint8Array[] = [];
  return {
    sent,
    isOpen: true,
    bufferedAmount: 0,
    send(packet: Uint8Array) {
      sent.push(packet);
      this.bufferedAmount += packet.length;
      return true;
    },
    setBufferedAmountLowThreshold() {},
    onBufferedAmountLow() {},
    drain() {
      this.bufferedAmount = 0;
      this.onBufferedAmountLow();
    },
  };
}

test('frames wait for a channel, and those behind too much of it are dropped whole, the oldest first', () => {
  const lane = new FrameLane();
  const packets = (first: number) => [Buffer.alloc(16_000, first), Buffer.alloc(16_000, first)];
  lane.send(packets(1));
  const to = channel();
  lane.open(to);
  expect(to.sent).toHaveLength(1);
  for (let first = 2; first < 10; first++) lane.send(packets(first));
  while (to.bufferedAmount > 0) to.drain();
  const order = to.sent.map((packet) => packet[0]);
  expect(order.slice(0, 2)).toEqual([1, 1]);
  expect(order.slice(-2)).toEqual([9, 9]);
  for (let at = 0; at < order.length; at += 2) expect(order[at]).toBe(order[at + 1]);
  expect(order.length * 16_000).toBeLessThanOrEqual(limits.waitingDataTrackFrames.value + 32_000);
});

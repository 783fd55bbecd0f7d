import { packetChecksum } from '../../dist/transport/sctp/crc32c.js';
import { DataChannels } from '../../dist/transport/sctp/index.js';
import { join, split, withoutMessages } from '../engine/messages.mjs';
import { check } from '../engine/target.mjs';

const headerBytes = 12;
/** What an end may hold of incomplete messages, and one message more. */
const maxHeldBytes = 1_400_000;

/** Two ends, whose packets are delivered by hand. */
function makePair() {
  const clock = { nowMs: 0 };
  const queue = [];
  const ends = [0, 1].map(
    (side) =>
      new DataChannels({
        localPort: 5000,
        remotePort: 5000,
        maxMessageBytes: 262_144,
        now: () => clock.nowMs,
        onPacket: (packet) => queue.push({ to: 1 - side, packet: Buffer.from(packet) }),
        onChannel: (channel) => {
          channel.onMessage = (message) => channel.send(message.subarray(0, 100));
        },
      }),
  );
  const deliver = (count) => {
    for (let i = 0; i < count && queue.length > 0; i++) {
      const { to, packet } = queue.shift();
      ends[to].handlePacket(packet, clock.nowMs);
    }
  };
  return { clock, queue, ends, deliver };
}

/** Both ends start, and one has a channel with some traffic; `act` sees each packet. */
function connect(pair, act = () => {}) {
  const { ends, queue, clock, deliver } = pair;
  const channel = ends[0].create('seed', { maxRetransmits: 1 });
  channel.onOpen = () => {
    channel.send(Buffer.alloc(3000, 1));
    channel.send('text');
  };
  ends[0].start('client', clock.nowMs);
  ends[1].start('server', clock.nowMs);
  for (let i = 0; i < 40 && queue.length > 0; i++) {
    act(queue[0]);
    deliver(1);
  }
  return channel;
}

/** The packets of a connection as sequences of one packet: the time before it, then its chunks. */
function recorded() {
  const inputs = [];
  const pair = makePair();
  const record = ({ to, packet }) => {
    if (to === 1)
      inputs.push(
        Buffer.concat([Buffer.of(1), join([Buffer.concat([Buffer.of(1), packet.subarray(headerBytes)])])]),
      );
  };
  const channel = connect(pair, record);
  channel.close();
  while (pair.queue.length > 0) {
    record(pair.queue[0]);
    pair.deliver(1);
  }
  inputs.push(Buffer.from('01000d01c00000080000000a00000000', 'hex'));
  return inputs;
}

export default {
  about:
    'SCTP packets of a peer: chunks with a right tag and checksum, into an association that is up or not',
  maxBytes: 8192,
  shorten: withoutMessages,
  words: [0x8008, 0xc000, 0x8001],
  seeds: recorded,
  /** The first byte: whether the association is up. Each piece is the time that passes, in 10 ms, and chunks. */
  run(input) {
    const pair = makePair();
    const { clock, ends, queue } = pair;
    let tag = 0;
    if ((input[0] ?? 0) & 1)
      connect(pair, ({ to, packet }) => {
        if (to === 1) tag = packet.readUInt32BE(4) || tag;
      });
    else ends[1].start('server', 0);
    const victim = ends[1];
    queue.length = 0;
    let sentPackets = 0;
    const pieces = split(input.subarray(1));
    for (const piece of pieces) {
      clock.nowMs += 10 * (piece[0] ?? 0);
      const due = victim.nextTimeoutMs;
      if (due !== undefined && due <= clock.nowMs) victim.handleTimeout(clock.nowMs);
      const header = Buffer.alloc(headerBytes);
      header.writeUInt16BE(5000, 0);
      header.writeUInt16BE(5000, 2);
      header.writeUInt32BE(piece[1] === 1 ? 0 : tag, 4);
      const packet = Buffer.concat([header, piece.subarray(1)]);
      packet.writeUInt32LE(packetChecksum(packet), 8);
      victim.handlePacket(packet, clock.nowMs);
      check(victim.association.heldBytes <= maxHeldBytes, 'what is held has a bound');
      sentPackets += queue.length;
      queue.length = 0;
    }
    check(sentPackets < 200 + 100 * pieces.length, 'a packet is not answered by a flood');
    victim.close();
    check(victim.nextTimeoutMs === undefined, 'nothing is left to wait for');
    ends[0].close();
  },
};

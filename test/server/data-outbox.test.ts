import { DataPacket_Kind } from '@livekit/protocol';
import { expect, test } from 'vitest';
import { Boundary } from '../../src/server/boundary.js';
import { limits } from '../../src/server/limits.js';
import { DataInlet } from '../../src/server/sfu/data-inlet.js';
import { DataOutbox } from '../../src/server/sfu/data-outbox.js';
import { WorkMeter } from '../../src/server/work-meter.js';
import type { DataChannel } from '../../src/transport/index.js';

const { RELIABLE, LOSSY } = DataPacket_Kind;
/** Five of them make an outbox congested. */
const chunkBytes = Math.round(limits.congestedDataBytes.value / 4.5);

/** A channel that keeps what is sent, and says how much of it has not left. */
function channel(label: string, isOpen: boolean) {
  const sent: number[] = [];
  const fake = {
    label,
    isOpen,
    bufferedAmount: 0,
    withheld: 0,
    onOpen: () => {},
    withhold: (bytes: number) => {
      fake.withheld = bytes;
    },
    send: (message: Uint8Array) => {
      if (!fake.isOpen) return false;
      sent.push(message[0]!);
      fake.bufferedAmount += message.length;
      return true;
    },
  };
  return { fake, sent, channel: fake as unknown as DataChannel };
}

function openOutbox() {
  const outbox = new DataOutbox();
  const reliable = channel('_reliable', true);
  outbox.add(reliable.channel);
  return { outbox, ...reliable };
}

const message = (first: number, bytes = chunkBytes) => new Uint8Array(bytes).fill(first, 0, 1);

test('what is reliable waits for its channel and keeps its order; what is lossy does not wait', () => {
  const outbox = new DataOutbox();
  const reliable = channel('_reliable', false);
  const lossy = channel('_lossy', false);
  outbox.send(Uint8Array.of(1), RELIABLE);
  outbox.add(reliable.channel);
  outbox.add(lossy.channel);
  outbox.send(Uint8Array.of(2), RELIABLE);
  outbox.send(Uint8Array.of(9), LOSSY);
  reliable.fake.isOpen = lossy.fake.isOpen = true;
  reliable.fake.onOpen();
  outbox.send(Uint8Array.of(3), RELIABLE);
  outbox.send(Uint8Array.of(8), LOSSY);
  expect(reliable.sent).toEqual([1, 2, 3]);
  expect(lossy.sent).toEqual([8]);
});

test('what is lossy is left out while the client does not keep up', () => {
  const outbox = new DataOutbox();
  const lossy = channel('_lossy', true);
  outbox.add(lossy.channel);
  lossy.fake.bufferedAmount = 1_000_000;
  outbox.send(Uint8Array.of(1), LOSSY);
  lossy.fake.bufferedAmount = 0;
  outbox.send(Uint8Array.of(2), LOSSY);
  expect(lossy.sent).toEqual([2]);
});

test('a client whose channel is not open yet gets the newest of a flood, and holds up nobody', () => {
  const outbox = new DataOutbox();
  const reliable = channel('_reliable', false);
  outbox.add(reliable.channel);
  for (let i = 0; i < 100; i++) outbox.send(message(i, 1_000_000), RELIABLE);
  expect(outbox.isCongested).toBe(false);
  reliable.fake.isOpen = true;
  reliable.fake.onOpen();
  expect(reliable.sent).toEqual([96, 97, 98, 99]);
});

test('a slow client is not stalled; one that reads nothing is, after a while', () => {
  const { outbox, fake } = openOutbox();
  for (let i = 0; i < 6; i++) outbox.send(message(i), RELIABLE);
  for (let nowMs = 0; nowMs < 60_000; nowMs += 1_000) {
    expect(outbox.isStalled(nowMs), `after ${nowMs} ms of reading slowly`).toBe(false);
    fake.bufferedAmount -= 5_000;
  }
  expect(outbox.isStalled(60_000)).toBe(false);
  expect(outbox.isStalled(60_000 + limits.stalledReceiverMs.value)).toBe(true);
});

function openInlet(outboxes: () => readonly DataOutbox[]) {
  const relayed: number[] = [];
  let overflows = 0;
  let nowMs = 0;
  const inlet = new DataInlet({
    boundary: new Boundary('test'),
    work: WorkMeter.forPackets(() => nowMs),
    relay: (bytes, kind) => {
      relayed.push(bytes[0]!);
      const to = outboxes();
      for (const outbox of to) outbox.send(bytes, kind);
      return to;
    },
    relayTrackPacket: () => {},
    onOverflow: () => overflows++,
  });
  const from = channel('_reliable', true);
  return {
    inlet,
    relayed,
    from,
    advance: (ms: number) => {
      nowMs += ms;
    },
    overflows: () => overflows,
  };
}

test('a sender waits for a receiver that does not keep up, in order, and is told how much waits', async () => {
  const { outbox, fake, sent } = openOutbox();
  const { inlet, from, relayed } = openInlet(() => [outbox]);
  for (let i = 0; i < 10; i++) inlet.receive(message(i), RELIABLE, from.channel);
  expect(relayed).toEqual([0, 1, 2, 3, 4]);
  expect(from.fake.withheld).toBe(5 * chunkBytes);
  fake.bufferedAmount = 0;
  await expect.poll(() => sent).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  expect(from.fake.withheld).toBe(0);
  inlet.close();
});

test('a sender that goes on nevertheless is given up, once; the receiver is not', () => {
  const { outbox } = openOutbox();
  const { inlet, from, overflows, relayed } = openInlet(() => [outbox]);
  const count = limits.withheldDataBytes.value / chunkBytes + 10;
  for (let i = 0; i < count; i++) inlet.receive(message(1), RELIABLE, from.channel);
  expect(overflows()).toBe(1);
  expect(relayed).toHaveLength(5);
  expect(outbox.isStalled(0)).toBe(false);
});

test('a receiver that leaves holds up nobody', async () => {
  const slow = openOutbox();
  const { inlet, from, relayed } = openInlet(() => [slow.outbox]);
  for (let i = 0; i < 8; i++) inlet.receive(message(i), RELIABLE, from.channel);
  expect(relayed).toHaveLength(5);
  slow.outbox.close();
  await expect.poll(() => relayed).toHaveLength(8);
  inlet.close();
});

test('a sender that takes too much of the server waits, and its lossy packets are dropped', async () => {
  const { outbox } = openOutbox();
  const setup = openInlet(() => {
    setup.advance(1);
    return [outbox];
  });
  const { inlet, from, relayed, advance } = setup;
  for (let i = 0; i < 1_000; i++) inlet.receive(message(1, 10), RELIABLE, from.channel);
  const served = relayed.length;
  // What may be used at once, and what is earned meanwhile.
  expect(served).toBeGreaterThanOrEqual(limits.packetWorkBurst.value);
  const earning = limits.packetWorkPerSecond.value / 1_000;
  expect(served).toBeLessThan((1.1 * limits.packetWorkBurst.value) / (1 - earning));
  inlet.receive(message(9, 10), LOSSY, from.channel);
  expect(relayed).toHaveLength(served);
  // No more than a burst is saved up, so time has to go on for the rest.
  const servedLater = () => {
    advance(100);
    return relayed.length;
  };
  await expect.poll(servedLater).toBeGreaterThanOrEqual(served + limits.packetWorkPerSecond.value);
  inlet.close();
});

test('a packet that cannot be relayed costs itself only', () => {
  let calls = 0;
  const { inlet, from, overflows } = openInlet(() => {
    calls++;
    throw new Error('thrown by the test');
  });
  inlet.receive(message(1, 10), RELIABLE, from.channel);
  inlet.receive(message(2, 10), RELIABLE, from.channel);
  expect(calls).toBe(2);
  expect(overflows()).toBe(0);
});

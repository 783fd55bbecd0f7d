import { DataPacket_Kind } from '@livekit/protocol';
import { expect, test } from 'vitest';
import { DataOutbox } from '../../src/server/sfu/data-outbox.js';
import type { DataChannel } from '../../src/transport/index.js';

const { RELIABLE, LOSSY } = DataPacket_Kind;

/** A channel that keeps what is sent, and says how much of it has not left. */
function channel(label: string, isOpen: boolean) {
  const sent: number[] = [];
  const fake = {
    label,
    isOpen,
    bufferedAmount: 0,
    onOpen: () => {},
    send: (message: Uint8Array) => fake.isOpen && sent.push(message[0]!) > 0,
  };
  return { fake, sent, channel: fake as unknown as DataChannel };
}

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

test.each([
  ['whose channel never opens', false, 0, 5],
  ['that stops reading', true, 20_000_000, 1],
])(
  'a client %s is given up once, before it costs the memory of all',
  (_what, isOpen, bufferedAmount, megabytes) => {
    const outbox = new DataOutbox();
    const reliable = channel('_reliable', isOpen);
    let overflows = 0;
    outbox.onOverflow = () => overflows++;
    outbox.add(reliable.channel);
    reliable.fake.bufferedAmount = bufferedAmount;
    for (let i = 0; i < megabytes + 3; i++) outbox.send(new Uint8Array(1_000_000), RELIABLE);
    expect(overflows).toBe(1);
  },
);

import { DataPacket, SipDTMF, UserPacket } from '@livekit/protocol';
import { describe, expect, it } from 'vitest';
import { type PacketChannel, type PacketContent, PacketLane } from '../../src/data/index.js';
import { OffhookError } from '../../src/errors/index.js';

/** A data channel whose bytes leave when the test says so. */
class HeldChannel implements PacketChannel {
  isOpen = true;
  bufferedAmount = 0;
  maxMessageBytes = Number.POSITIVE_INFINITY;
  readonly sent: DataPacket[] = [];
  #thresholdBytes = 0;
  onBufferedAmountLow: () => void = () => {};

  send(message: Uint8Array): boolean {
    if (message.length > this.maxMessageBytes) throw new Error('Message size exceeds limit');
    this.bufferedAmount += message.length;
    this.sent.push(DataPacket.fromBinary(message));
    return true;
  }

  setBufferedAmountLowThreshold(bytes: number): void {
    this.#thresholdBytes = bytes;
  }

  drain(): void {
    const wasHigh = this.bufferedAmount > this.#thresholdBytes;
    this.bufferedAmount = 0;
    if (wasHigh) this.onBufferedAmountLow();
  }

  get topics(): (string | undefined)[] {
    return this.sent.map(({ value }) => (value.case === 'user' ? value.value.topic : undefined));
  }
}

const user = (topic: string, bytes = 100): PacketContent => ({
  case: 'user',
  value: new UserPacket({ topic, payload: new Uint8Array(bytes) }),
});

describe('a lane of packets', () => {
  it('keeps packets until there is a channel, then sends them in order', async () => {
    const lane = new PacketLane('reliable');
    const sends = ['a', 'b', 'c'].map((topic) => lane.send(user(topic), {}));
    const channel = new HeldChannel();
    lane.open(channel);
    await Promise.all(sends);
    expect(channel.topics).toEqual(['a', 'b', 'c']);
    expect(channel.sent.map(({ sequence }) => sequence)).toEqual([1, 2, 3]);
  });

  it('lets senders wait while too much is buffered', async () => {
    const lane = new PacketLane('reliable');
    const channel = new HeldChannel();
    lane.open(channel);
    lane.thresholdBytes = 1_000;
    await lane.send(user('full', 5_000), {});
    let done = false;
    const waiting = lane.send(user('waiting'), {}).then(() => {
      done = true;
    });
    await Promise.resolve();
    expect(done).toBe(false);
    channel.drain();
    await waiting;
    expect(channel.topics).toEqual(['full', 'waiting']);
  });

  it('sends again what the server did not get, with the numbers that it had', async () => {
    const lane = new PacketLane('reliable');
    const before = new HeldChannel();
    lane.open(before);
    await Promise.all(['a', 'b', 'c'].map((topic) => lane.send(user(topic), {})));
    const after = new HeldChannel();
    lane.suspend();
    const waiting = lane.send(user('d'), {});
    lane.open(after, 1);
    await waiting;
    expect(after.sent.map(({ sequence }) => sequence)).toEqual([2, 3, 4]);
  });

  it('numbers no lossy packets', async () => {
    const lane = new PacketLane('lossy');
    const channel = new HeldChannel();
    lane.open(channel);
    await lane.send(user('a'), {});
    expect(channel.sent[0]!.sequence).toBe(0);
  });

  it('names whom a packet is for and on whose behalf it is sent', async () => {
    const lane = new PacketLane('reliable');
    const channel = new HeldChannel();
    lane.open(channel);
    await lane.send(user('a'), { destinationIdentities: ['bob'], senderIdentity: 'carol' });
    expect(channel.sent[0]).toMatchObject({ destinationIdentities: ['bob'], participantIdentity: 'carol' });
  });

  it('refuses a packet that is too large, and goes on with the next', async () => {
    const lane = new PacketLane('reliable');
    const channel = new HeldChannel();
    channel.maxMessageBytes = 1_000;
    lane.open(channel);
    const outcomes = await Promise.allSettled([
      lane.send(user('large', 2_000), {}),
      lane.send(user('small'), {}),
    ]);
    expect(outcomes[0]).toMatchObject({ status: 'rejected', reason: { code: 'OFFHOOK_INVALID_REQUEST' } });
    expect(channel.topics).toEqual(['small']);
  });

  it('refuses a packet that cannot be encoded, and goes on with the next under its number', async () => {
    const lane = new PacketLane('reliable');
    const impossible: PacketContent = { case: 'sipDtmf', value: new SipDTMF({ code: -1 }) };
    const waiting = [lane.send(impossible, {}), lane.send(user('behind'), {})];
    const channel = new HeldChannel();
    lane.open(channel);
    const outcomes = await Promise.allSettled([...waiting, lane.send(user('later'), {})]);
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'fulfilled', 'fulfilled']);
    expect(outcomes[0]).toMatchObject({ reason: { code: 'OFFHOOK_INVALID_REQUEST' } });
    expect(channel.topics).toEqual(['behind', 'later']);
    expect(channel.sent.map(({ sequence }) => sequence)).toEqual([1, 2]);
  });

  it('refuses what waits, and everything later, once it is closed', async () => {
    const lane = new PacketLane('reliable');
    const waiting = lane.send(user('a'), {});
    const closed = new OffhookError('OFFHOOK_CLOSED', 'the room is closed');
    lane.close(closed);
    await expect(waiting).rejects.toBe(closed);
    await expect(lane.send(user('b'), {})).rejects.toBe(closed);
  });
});

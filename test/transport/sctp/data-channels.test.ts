import { describe, expect, test } from 'vitest';
import { type DataChannel, DataChannels } from '../../../src/transport/sctp/index.js';
import { Link, type LinkOptions } from './link.js';

interface ChannelEnd {
  channels: DataChannels;
  incoming: DataChannel[];
}

function createEnds(linkOptions: LinkOptions = {}): { link: Link; client: ChannelEnd; server: ChannelEnd } {
  const link = new Link(linkOptions);
  const create = (side: 0 | 1): ChannelEnd => {
    const incoming: DataChannel[] = [];
    const channels = new DataChannels({
      localPort: 5000,
      remotePort: 5000,
      maxMessageBytes: 262_144,
      now: () => link.nowMs,
      onPacket: (packet) => link.transmit(side, packet),
      onChannel: (channel) => {
        incoming.push(channel);
        collect(channel);
      },
    });
    link.ends[side] = channels;
    return { channels, incoming };
  };
  return { link, client: create(0), server: create(1) };
}

const messages = new WeakMap<DataChannel, (string | Buffer)[]>();

function collect(channel: DataChannel): (string | Buffer)[] {
  const list: (string | Buffer)[] = [];
  messages.set(channel, list);
  channel.onMessage = (bytes, isText) =>
    list.push(isText ? Buffer.from(bytes).toString() : Buffer.from(bytes));
  return list;
}

function startBoth({ link, client, server }: ReturnType<typeof createEnds>): void {
  client.channels.start('client', link.nowMs);
  server.channels.start('server', link.nowMs);
}

describe('data channels', () => {
  test('open with the label and the reliability that they were made with, on streams by the DTLS role', () => {
    const ends = createEnds();
    const { link, client, server } = ends;
    const lossy = client.channels.create('_lossy', { ordered: true, maxRetransmits: 0 });
    const timed = server.channels.create('timed', { ordered: false, maxLifetimeMs: 300, protocol: 'chat' });
    startBoth(ends);
    link.runUntil(() => server.incoming.length === 1 && client.incoming.length === 1);
    expect(lossy.isOpen).toBe(true);
    expect(lossy.id).toBe(0);
    expect(timed.id).toBe(1);
    expect(server.incoming[0]).toMatchObject({
      label: '_lossy',
      ordered: true,
      maxRetransmits: 0,
      protocol: '',
      id: 0,
      isOpen: true,
    });
    expect(client.incoming[0]).toMatchObject({
      label: 'timed',
      ordered: false,
      maxLifetimeMs: 300,
      protocol: 'chat',
      id: 1,
    });
  });

  test('carry text, binary and empty messages, the first ones before the peer has answered', () => {
    const ends = createEnds();
    const { link, client, server } = ends;
    const channel = client.channels.create('mixed', { ordered: false });
    expect(channel.send('too early')).toBe(false);
    channel.onOpen = () => {
      for (const message of ['text', '', Buffer.from('binary'), Buffer.alloc(0)]) channel.send(message);
    };
    startBoth(ends);
    link.runUntil(() => server.incoming.length === 1 && messages.get(server.incoming[0]!)!.length === 4);
    expect(messages.get(server.incoming[0]!)).toEqual(['text', '', Buffer.from('binary'), Buffer.alloc(0)]);
    const answers = collect(channel);
    server.incoming[0]!.send('answer');
    link.runUntil(() => answers.length === 1);
  });

  test('close at both ends, after what was sent before, and their stream is used again', () => {
    const ends = createEnds({ lossRate: 0.1, jitterMs: 10, seed: 5 });
    const { link, client, server } = ends;
    const channel = client.channels.create('short');
    let closes = 0;
    startBoth(ends);
    link.runUntil(() => server.incoming.length === 1);
    server.incoming[0]!.onClose = () => closes++;
    for (let i = 0; i < 50; i++) channel.send(Buffer.alloc(3000, i));
    channel.close();
    expect(channel.send('late')).toBe(false);
    link.runUntil(() => closes === 1);
    expect(messages.get(server.incoming[0]!)).toHaveLength(50);
    expect(server.incoming[0]!.isClosed).toBe(true);
    link.run(5000);
    const next = client.channels.create('next');
    expect(next.id).toBe(0);
    next.send('again');
    link.runUntil(() => server.incoming.length === 2 && messages.get(server.incoming[1]!)!.length === 1);
    expect(closes).toBe(1);
  });

  test('say how much waits, and when it falls to the threshold', () => {
    const ends = createEnds();
    const { link, client, server } = ends;
    const channel = client.channels.create('bulk');
    startBoth(ends);
    link.runUntil(() => server.incoming.length === 1);
    channel.setBufferedAmountLowThreshold(50_000);
    const lows: number[] = [];
    channel.onBufferedAmountLow = () => lows.push(channel.bufferedAmount);
    channel.send('small');
    expect(channel.bufferedAmount).toBe(0);
    for (let i = 0; i < 20; i++) channel.send(Buffer.alloc(20_000));
    expect(channel.bufferedAmount).toBeGreaterThan(350_000);
    link.run(5000);
    expect(lows).toHaveLength(1);
    expect(lows[0]).toBeLessThanOrEqual(50_000);
    expect(channel.bufferedAmount).toBe(0);
  });

  test('refuse a message that is longer than the peer takes', () => {
    const ends = createEnds();
    const channel = ends.client.channels.create('limit');
    startBoth(ends);
    ends.link.runUntil(() => channel.isOpen);
    expect(() => channel.send(Buffer.alloc(65_537))).toThrow(
      expect.objectContaining({ code: 'OFFHOOK_INVALID_REQUEST' }),
    );
    ends.client.channels.remoteMaxMessageBytes = 100_000;
    expect(channel.send(Buffer.alloc(65_537))).toBe(true);
  });

  test('are closed when the peer ends the association', () => {
    const ends = createEnds();
    const { link, client, server } = ends;
    const channel = client.channels.create('ended');
    const closed: string[] = [];
    channel.onClose = () => closed.push('ours');
    startBoth(ends);
    link.runUntil(() => server.incoming.length === 1);
    server.incoming[0]!.onClose = () => closed.push('theirs');
    server.channels.close();
    link.run(1000);
    expect(closed).toEqual(['ours']);
    expect(() => client.channels.create('after')).toThrow(
      expect.objectContaining({ code: 'OFFHOOK_CLOSED' }),
    );
    expect(client.channels.nextTimeoutMs).toBeUndefined();
    expect(server.channels.nextTimeoutMs).toBeUndefined();
  });
});

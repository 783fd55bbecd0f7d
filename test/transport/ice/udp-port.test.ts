import { createSocket } from 'node:dgram';
import { once as onceEvent } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import { serializeRtp } from '../../../src/rtp/index.js';
import { isStun, serializeStun, stunAttribute, stunMethod } from '../../../src/transport/ice/stun.js';
import type { PacketMeter } from '../../../src/transport/ice/udp-port.js';
import { UdpPort } from '../../../src/transport/index.js';
import { bothConnected, makePeers, once, type Peers } from '../peers.js';

const closers: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

function openPort(): UdpPort {
  const port = new UdpPort(0, '127.0.0.1');
  closers.unshift(() => port.close());
  return port;
}

/** A client `a` with a socket of its own, and a connection `b` on the shared port. */
function client(port: UdpPort, { iceLite = false } = {}): Peers {
  const candidates = [`candidate:1 1 udp 2130706431 127.0.0.1 ${port.port} typ host`];
  const peers = makePeers({}, { shared: { port, candidates }, iceLite });
  closers.unshift(() => peers.close());
  return peers;
}

const rtp = (ssrc: number) =>
  serializeRtp({ payloadType: 63, marker: false, sequenceNumber: 1, timestamp: 960, ssrc }, Buffer.of(1));

describe('a UDP port that connections share', () => {
  test.each([false, true])('carries each to its own client, lite: %s', async (iceLite) => {
    const port = openPort();
    const clients = [11, 22, 33].map((ssrc) => ({ ssrc, peers: client(port, { iceLite }) }));
    const tracks = clients.map(({ ssrc, peers }) => peers.a.addAudio(ssrc));
    const received = clients.map(({ peers }) => once(peers.b, 'onTrack'));
    for (const { peers } of clients) peers.negotiate();
    await Promise.all(clients.map(({ peers }) => bothConnected(peers)));
    for (const [index, { ssrc }] of clients.entries()) {
      const [track] = (await received[index]!) as [{ onPacket: (packet: Buffer) => void }];
      const packet = once(track, 'onPacket');
      tracks[index]!.send(rtp(ssrc));
      expect(((await packet)[0] as Buffer).readUInt32BE(8)).toBe(ssrc);
    }
  });

  test('keeps a connection whose client restarts ICE from another socket', async () => {
    const peers = client(openPort());
    const channel = peers.a.createDataChannel('_reliable', { ordered: true });
    peers.negotiate();
    if (!channel.isOpen) await once(channel, 'onOpen');
    const before = peers.b.pc.pair!.remote.port;
    peers.negotiate({ iceRestart: true });
    await bothConnected(peers);
    expect(peers.b.pc.pair!.remote.port).not.toBe(before);
    expect(channel.isOpen).toBe(true);
  });

  test('takes a peer that begins to check before its answer is there', async () => {
    const port = openPort();
    const candidates = [`candidate:1 1 udp 2130706431 127.0.0.1 ${port.port} typ host`];
    const peers = makePeers({ shared: { port, candidates } }, {});
    closers.unshift(() => peers.close());
    peers.a.addAudio(7);
    const answer = peers.b.answer(peers.a.offer());
    await expect.poll(() => peers.b.pc.rttMs === undefined, { timeout: 300 }).toBe(true);
    peers.a.pc.acceptAnswer(answer);
    await bothConnected(peers);
  });

  test('is not moved by what strangers send, and remembers nothing of them', async () => {
    const port = openPort();
    const peers = client(port);
    const channel = peers.a.createDataChannel('_reliable', { ordered: true });
    const incoming = once(peers.b.pc, 'onDataChannel');
    peers.negotiate();
    await incoming;
    for (let stranger = 0; stranger < 50; stranger++) {
      const socket = createSocket('udp4');
      const binding = Buffer.alloc(40);
      binding.writeUInt16BE(1, 0);
      binding.writeUInt16BE(20, 2);
      binding.writeUInt32BE(0x2112a442, 4);
      for (const packet of [binding, Buffer.alloc(60, 22), Buffer.alloc(60, 0x80), Buffer.of(1)]) {
        socket.send(packet, port.port, '127.0.0.1');
      }
      socket.close();
      await onceEvent(socket, 'close');
    }
    const [theirs] = (await incoming) as [{ onMessage: (message: Uint8Array) => void }];
    const message = once(theirs, 'onMessage');
    channel.send(Buffer.from('still here'));
    expect(Buffer.from((await message)[0] as Uint8Array).toString()).toBe('still here');
    expect(peers.b.pc.state).toBe('connected');
  });

  describe('gives an address', () => {
    /** A link that accepts what it gets, and notes its data. */
    function open(port: UdpPort, ufrag: string, owner: object = {}, meter?: PacketMeter) {
      const got: string[] = [];
      const { link } = port.link(ufrag, { owner, meter }, (_path, packet) => {
        got.push(isStun(packet) ? 'check' : packet.toString('latin1', 1));
        return true;
      });
      closers.unshift(() => link.close());
      return { link, got };
    }

    function openSource(port: UdpPort) {
      const socket = createSocket('udp4');
      closers.unshift(() => socket.close());
      const username = (ufrag: string) => ({
        type: stunAttribute.username,
        value: Buffer.from(`${ufrag}:remote`),
      });
      const check = (ufrag: string) =>
        serializeStun({
          class: 'request',
          method: stunMethod.binding,
          transactionId: Buffer.alloc(12, 2),
          attributes: [username(ufrag)],
        });
      const send = (packet: Buffer) => socket.send(packet, port.port, '127.0.0.1');
      return {
        check: (ufrag: string) => send(check(ufrag)),
        data: (text: string) => send(Buffer.from(`\x80${text}`, 'latin1')),
      };
    }

    test('to the first connection that accepts it, until that gives it up', async () => {
      const port = openPort();
      const first = open(port, 'first');
      const second = open(port, 'second');
      const source = openSource(port);
      source.check('first');
      await expect.poll(() => first.got).toEqual(['check']);
      source.check('second');
      source.data('1');
      await expect.poll(() => first.got).toEqual(['check', '1']);
      expect(second.got).toEqual(['check']);
      first.link.close();
      source.data('lost');
      source.check('second');
      source.data('2');
      await expect.poll(() => second.got).toEqual(['check', 'check', '2']);
      expect(first.got).toEqual(['check', '1']);
    });

    test('to nobody else when one that does not have it ends', async () => {
      const port = openPort();
      const first = open(port, 'first');
      const second = open(port, 'second');
      const source = openSource(port);
      source.check('first');
      await expect.poll(() => first.got).toEqual(['check']);
      source.check('second');
      await expect.poll(() => second.got).toEqual(['check']);
      second.link.close();
      source.data('1');
      await expect.poll(() => first.got).toEqual(['check', '1']);
    });

    test('to the latest agent of the connection that has it', async () => {
      const port = openPort();
      const owner = {};
      const before = open(port, 'before', owner);
      const now = open(port, 'now', owner);
      const source = openSource(port);
      source.check('before');
      await expect.poll(() => before.got).toEqual(['check']);
      source.check('now');
      source.data('1');
      await expect.poll(() => now.got).toEqual(['check', '1']);
      expect(before.got).toEqual(['check']);
    });

    test('to no connection whose packets cost too much', async () => {
      const port = openPort();
      let takes = false;
      let counted = 0;
      const meter = {
        beginPacket: () => {
          counted++;
          return takes;
        },
        end: () => {},
      };
      const busy = open(port, 'busy', {}, meter);
      const other = open(port, 'other');
      const source = openSource(port);
      source.check('busy');
      await expect.poll(() => counted).toBe(1);
      source.check('other');
      source.data('1');
      await expect.poll(() => other.got).toEqual(['check', '1']);
      expect(busy.got).toEqual([]);
      takes = true;
      source.check('busy');
      await expect.poll(() => busy.got).toEqual(['check']);
    });
  });

  test('that is taken is an error that says which', () => {
    const port = openPort();
    expect(() => new UdpPort(port.port, '127.0.0.1')).toThrow(
      expect.objectContaining({
        code: 'OFFHOOK_UNREACHABLE',
        message: expect.stringContaining(`UDP port ${port.port}`),
      }),
    );
  });
});

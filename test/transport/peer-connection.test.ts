import { readdirSync } from 'node:fs';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { OffhookError } from '../../src/errors/index.js';
import { setLogSink } from '../../src/logging/index.js';
import { parseRtp, serializeRtp } from '../../src/rtp/index.js';
import { IceAgent } from '../../src/transport/ice/ice-agent.js';
import {
  type DataChannel,
  dataSection,
  generateCertificate,
  type MediaTrack,
  PeerConnection,
  parseDescription,
} from '../../src/transport/index.js';
import { bothConnected, makePeers, once, type Peers } from './peers.js';

const opened: Peers[] = [];
const open = (...options: Parameters<typeof makePeers>) => {
  const peers = makePeers(...options);
  opened.push(peers);
  return peers;
};
afterEach(() => {
  for (const peers of opened.splice(0)) peers.close();
});

const rtp = (ssrc: number, sequenceNumber: number) =>
  serializeRtp(
    { payloadType: 63, marker: false, sequenceNumber, timestamp: sequenceNumber * 960, ssrc },
    Buffer.of(111, 1, 2, 3),
  );

async function untilOpen(channel: DataChannel): Promise<void> {
  if (!channel.isOpen) await once(channel, 'onOpen');
}

/** What comes out at the other side of one packet. */
async function carried(from: MediaTrack, to: MediaTrack, packet: Buffer): Promise<Buffer> {
  const received = once(to, 'onPacket');
  expect(from.send(packet)).toBe(true);
  return (await received)[0] as Buffer;
}

describe('PeerConnection', () => {
  test.each([
    ['server', 'client'],
    ['client', 'server'],
  ] as const)('carries an audio track, the offerer as DTLS %s', async (_, answererRole) => {
    const peers = open({}, { dtlsRole: answererRole });
    const track = peers.a.addAudio(7);
    const incoming = once(peers.b, 'onTrack');
    expect(track.send(rtp(7, 0))).toBe(false);
    peers.negotiate();
    await bothConnected(peers);
    const [theirs] = (await incoming) as [MediaTrack];
    expect(theirs).toMatchObject({ mid: '0', kind: 'audio' });
    const packet = await carried(track, theirs, rtp(7, 1));
    expect(parseRtp(packet)).toMatchObject({ ssrc: 7, payloadType: 63, payload: Buffer.of(111, 1, 2, 3) });
    expect(peers.a.pc.pair).toMatchObject({
      local: { address: '127.0.0.1', protocol: 'udp', port: expect.any(Number) },
      remote: { address: '127.0.0.1', protocol: 'udp', port: expect.any(Number) },
    });
  });

  test.each([
    ['client', 'server'],
    ['server', 'client'],
  ] as const)('has statistics that fit those of the other side, as DTLS %s', async (role, answererRole) => {
    const peers = open({}, { dtlsRole: answererRole, certificate: generateCertificate('other') });
    const track = peers.a.addAudio(7);
    const channel = peers.a.createDataChannel('words', { ordered: true });
    const incoming = once(peers.b, 'onTrack');
    peers.negotiate();
    await bothConnected(peers);
    await untilOpen(channel);
    await carried(track, ((await incoming) as [MediaTrack])[0], rtp(7, 1));
    channel.send('four');
    const statsOf = () => [peers.a.pc.stats(), peers.b.pc.stats()] as const;
    await expect.poll(() => statsOf()[1].channels[0]?.messagesReceived).toBe(1);
    // Nothing is lost on the way: once nothing is under way, both have counted the same.
    await expect
      .poll(() => statsOf().map(({ packetsSent }) => packetsSent))
      .toEqual(
        statsOf()
          .map(({ packetsReceived }) => packetsReceived)
          .reverse(),
      );
    const [a, b] = statsOf();
    expect([a.bytesSent, b.bytesSent]).toEqual([b.bytesReceived, a.bytesReceived]);
    expect(a.dtls).toMatchObject({
      state: 'connected',
      role,
      srtpProfile: b.dtls!.srtpProfile,
      cipher: b.dtls!.cipher,
    });
    expect(a.dtls!.cipher).toBe('TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256');
    expect(peers.b.pc.localParameters!.fingerprints).toEqual([`sha-256 ${a.remoteCertificate!.fingerprint}`]);
    expect(peers.a.pc.localParameters!.fingerprints).toEqual([`sha-256 ${b.remoteCertificate!.fingerprint}`]);
    expect(a.ice).toMatchObject({
      localUfrag: b.ice!.remoteUfrag,
      remoteUfrag: b.ice!.localUfrag,
      state: 'connected',
    });
    expect(a.ice!.isControlling).toBe(!b.ice!.isControlling);
    expect(a.ice!.selected!.remote.port).toBe(b.ice!.selected!.local.port);
    const sent = { label: 'words', state: 'open', messagesSent: 1, bytesSent: 4, messagesReceived: 0 };
    expect(a).toMatchObject({ channels: [sent], channelsOpened: 1, channelsClosed: 0 });
    expect(b.channels).toMatchObject([{ label: 'words', messagesReceived: 1, bytesReceived: 4 }]);
  });

  test('the offer says what was asked for', () => {
    const { a } = open();
    a.addAudio(7);
    const { sections } = parseDescription(a.offer());
    expect(sections).toEqual(a.sections.map((section) => ({ ...section, rids: [] })));
  });

  test('data channels carry messages both ways, reliable and lossy', async () => {
    const peers = open();
    const reliable = peers.a.createDataChannel('_reliable', { ordered: true });
    const lossy = peers.a.createDataChannel('_lossy', { ordered: false, maxRetransmits: 0 });
    const theirs = new Map<string, DataChannel>();
    const bothThere = new Promise<void>((resolve) => {
      peers.b.pc.onDataChannel = (channel) => {
        theirs.set(channel.label, channel);
        if (theirs.size === 2) resolve();
      };
    });
    expect(reliable.send(Buffer.of(1))).toBe(false);
    peers.negotiate();
    await Promise.all([untilOpen(reliable), untilOpen(lossy), bothThere]);
    for (const [ours, label] of [
      [reliable, '_reliable'],
      [lossy, '_lossy'],
    ] as const) {
      const there = once(theirs.get(label)!, 'onMessage');
      ours.send(Buffer.from(`to ${label}`));
      expect(Buffer.from((await there)[0] as Uint8Array).toString()).toBe(`to ${label}`);
      const back = once(ours, 'onMessage');
      theirs.get(label)!.send(Buffer.from('back'));
      expect(Buffer.from((await back)[0] as Uint8Array).toString()).toBe('back');
    }
    const large = Buffer.alloc(60_000, 7);
    const there = once(theirs.get('_reliable')!, 'onMessage');
    reliable.send(large);
    expect(Buffer.compare((await there)[0] as Buffer, large)).toBe(0);
  });

  test('what waits to be sent is counted, and said when it has gone', async () => {
    const peers = open();
    const channel = peers.a.createDataChannel('_reliable', { ordered: true });
    peers.negotiate();
    await untilOpen(channel);
    channel.setBufferedAmountLowThreshold(100_000);
    for (let i = 0; i < 100; i++) channel.send(Buffer.alloc(60_000));
    expect(channel.bufferedAmount).toBeGreaterThan(100_000);
    while (channel.bufferedAmount > 100_000) await once(channel, 'onBufferedAmountLow');
  });

  test('a track added to a connection that began with data goes through after a new offer', async () => {
    const peers = open();
    const channel = peers.a.createDataChannel('_reliable', { ordered: true });
    peers.negotiate();
    await untilOpen(channel);
    const incoming = once(peers.b, 'onTrack');
    const track = peers.a.addAudio(8);
    peers.negotiate();
    const [theirs] = (await incoming) as [MediaTrack];
    expect(parseRtp(await carried(track, theirs, rtp(8, 1)))).toMatchObject({ ssrc: 8 });
    expect(channel.isOpen).toBe(true);
  });

  test('a channel added to a connection that began with a track opens after a new offer', async () => {
    const peers = open();
    peers.a.addAudio(7);
    peers.negotiate();
    await bothConnected(peers);
    const channel = peers.a.createDataChannel('_reliable', { ordered: true });
    peers.negotiate();
    await untilOpen(channel);
  });

  test('a track that was closed sends no more, and its successor works', async () => {
    const peers = open();
    const first = peers.a.addAudio(7);
    peers.negotiate();
    await bothConnected(peers);
    peers.a.remove(first);
    first.close();
    expect(first.send(rtp(7, 1))).toBe(false);
    const incoming = once(peers.b, 'onTrack');
    const second = peers.a.addAudio(8);
    peers.negotiate();
    const [theirs] = (await incoming) as [MediaTrack];
    await carried(second, theirs, rtp(8, 1));
  });

  test.each([
    '',
    'v=0',
    'not a description',
    'v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n',
  ])('refuses %j as a description, and goes on', async (sdp) => {
    const peers = open();
    expect(() => peers.b.pc.acceptOffer(sdp)).toThrow(OffhookError);
    peers.a.addAudio(7);
    peers.a.offer();
    expect(() => peers.a.pc.acceptAnswer(sdp)).toThrow(OffhookError);
    peers.negotiate();
    await bothConnected(peers);
  });

  test('an answer without an offer, and an answer that was not asked for, are errors', () => {
    const { a, b } = open();
    expect(() => a.pc.answer([dataSection('0')])).toThrow(OffhookError);
    b.addAudio(7);
    const answer = a.answer(b.offer());
    expect(() => a.pc.acceptAnswer(answer)).toThrow(OffhookError);
  });

  test('an address that is not this machine’s is an error', () => {
    const pc = new PeerConnection({ name: 'x', bindAddress: '203.0.113.5' });
    expect(() => pc.offer([dataSection('0')])).toThrow(
      expect.objectContaining({ code: 'OFFHOOK_TRANSPORT' }),
    );
    pc.close();
  });

  test('an offer of nothing is an error, and an offer that was not answered can be made anew', async () => {
    const peers = open();
    expect(() => peers.a.offer()).toThrow(expect.objectContaining({ code: 'OFFHOOK_TRANSPORT' }));
    peers.a.addAudio(7);
    peers.a.offer();
    peers.negotiate();
    await bothConnected(peers);
  });

  test('another side with another certificate is refused, and the one before stays', async () => {
    const peers = open();
    peers.a.addAudio(7);
    peers.negotiate();
    await bothConnected(peers);
    const answer = peers.b.answer(peers.a.offer());
    const forged = answer.replace(/a=fingerprint:sha-256 ../, 'a=fingerprint:sha-256 00');
    expect(() => peers.a.pc.acceptAnswer(forged)).toThrow(OffhookError);
    expect(peers.a.pc.state).toBe('connected');
  });

  test('a certificate that is not the announced one ends the connection', async () => {
    const peers = open();
    peers.a.addAudio(7);
    const failed = new Promise<void>((resolve) => {
      peers.a.pc.onStateChange = (state) => {
        if (state === 'failed') resolve();
      };
    });
    const answer = peers.b.answer(peers.a.offer());
    peers.a.pc.acceptAnswer(answer.replace(/a=fingerprint:sha-256 ../, 'a=fingerprint:sha-256 00'));
    await failed;
  });

  test('the other side that closes is known at once, and not taken for a failure', async () => {
    const peers = open();
    peers.a.addAudio(7);
    peers.negotiate();
    await bothConnected(peers);
    const states: string[] = [];
    const closed = new Promise<void>((resolve) => {
      peers.b.pc.onStateChange = (state) => {
        states.push(state);
        resolve();
      };
    });
    peers.a.pc.close();
    await closed;
    expect(states).toEqual(['closed']);
    expect(peers.b.pc.isOpen).toBe(false);
  });

  test('malformed candidates are errors that change nothing', async () => {
    const peers = open();
    peers.a.addAudio(7);
    peers.negotiate();
    for (const candidate of [
      'candidate:',
      'candidate:1 1 udp',
      'nonsense',
      'candidate:1 1 udp 1 999.1.1.1 x typ host',
      'candidate:1 1 udp 1 printer.local 5000 typ host',
    ]) {
      expect(() => peers.a.pc.addIceCandidate({ candidate, sdpMid: '0' }), candidate).toThrow(OffhookError);
    }
    peers.a.pc.addIceCandidate({ candidate: '', sdpMid: '0' });
    await bothConnected(peers);
  });

  test('closing ends everything, at once and for good', async () => {
    const peers = open();
    const channel = peers.a.createDataChannel('_reliable', { ordered: true });
    const track = peers.a.addAudio(7);
    peers.negotiate();
    await Promise.all([untilOpen(channel), bothConnected(peers)]);
    const called: string[] = [];
    peers.a.pc.onStateChange = (state) => called.push(state);
    peers.a.pc.close();
    peers.a.pc.close();
    // The other side hears of it later than this one would.
    await expect.poll(() => peers.b.pc.state).toBe('closed');
    expect(called).toEqual([]);
    expect(peers.a.pc.state).toBe('closed');
    expect(channel.send(Buffer.of(1))).toBe(false);
    expect(track.send(rtp(7, 1))).toBe(false);
    expect(peers.a.pc.pair).toBeUndefined();
    expect(() => peers.a.offer()).toThrow(expect.objectContaining({ code: 'OFFHOOK_CLOSED' }));
    expect(() => peers.a.pc.acceptAnswer('v=0')).toThrow(OffhookError);
    expect(() => peers.a.createDataChannel('x', { ordered: true })).toThrow(OffhookError);
  });

  test('twelve connections leave no descriptor behind', async () => {
    const countDescriptors = () => readdirSync('/proc/self/fd').length;
    const connectOnce = async () => {
      const peers = makePeers();
      const channel = peers.a.createDataChannel('_reliable', { ordered: true });
      peers.negotiate();
      await untilOpen(channel);
      peers.close();
    };
    await connectOnce();
    const before = countDescriptors();
    for (let i = 0; i < 12; i++) await connectOnce();
    await expect.poll(countDescriptors, { timeout: 5_000 }).toBeLessThanOrEqual(before);
  });

  test('an exception over a packet costs that packet, and one in a timer that connection', async () => {
    const lines: string[] = [];
    setLogSink(({ level, message }) => lines.push(`${level} ${message}`));
    const other = open();
    const otherChannel = other.a.createDataChannel('_reliable', { ordered: true });
    other.negotiate();
    await untilOpen(otherChannel);
    const peers = open();
    const failed = new Error('thrown by the test');
    const receive = vi.spyOn(IceAgent.prototype, 'receive').mockImplementationOnce(() => {
      throw failed;
    });
    const channel = peers.a.createDataChannel('_reliable', { ordered: true });
    peers.negotiate();
    await untilOpen(channel);
    expect(receive).toHaveBeenCalled();
    expect(lines).toContainEqual(expect.stringMatching(/^error .*: thrown by the test at /));
    receive.mockRestore();
    const judge = vi.spyOn(IceAgent.prototype, 'handleTimeout').mockImplementationOnce(() => {
      throw failed;
    });
    const states = () => [peers, other].flatMap(({ a, b }) => [a.pc.state, b.pc.state]).sort();
    await expect.poll(states, { timeout: 10_000 }).toContain('failed');
    judge.mockRestore();
    expect(states().filter((state) => state === 'failed')).toHaveLength(1);
    setLogSink(() => {});
  });

  test('closing before anything came of it, at any step, is harmless', () => {
    for (let step = 0; step < 4; step++) {
      const peers = makePeers();
      peers.a.createDataChannel('_reliable', { ordered: true });
      const offer = step > 0 ? peers.a.offer() : '';
      if (step > 1) peers.b.pc.acceptOffer(offer);
      if (step > 2) peers.b.pc.answer([dataSection('0')]);
      peers.close();
    }
  });
});

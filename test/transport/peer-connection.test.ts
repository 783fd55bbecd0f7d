import { readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { parseRtp, serializeRtp } from '../../src/rtp/index.js';
import { OffhookError } from '../../src/timeline/index.js';
import { type DataChannel, type MediaTrack, PeerConnection, parseSdp } from '../../src/transport/index.js';
import { bothConnected, makePeers, once, type Peers } from './peers.js';

const opened: Peers[] = [];
const open = () => {
  const peers = makePeers();
  opened.push(peers);
  return peers;
};
afterEach(() => {
  for (const peers of opened.splice(0)) peers.close();
});

const audioOptions = {
  direction: 'sendonly' as const,
  cname: 'test',
  streamId: 'stream',
  payloadTypes: { opus: 111, red: 63 },
  opusParameters: 'minptime=10;useinbandfec=1',
  extensions: [{ id: 1, uri: 'urn:ietf:params:rtp-hdrext:ssrc-audio-level' }],
};

const addAudio = (pc: PeerConnection, mid: string, ssrc: number) =>
  pc.addAudioTrack({ ...audioOptions, mid, ssrc, trackId: `track-${mid}` });

const rtp = (ssrc: number, sequenceNumber: number) =>
  serializeRtp(
    { payloadType: 63, marker: false, sequenceNumber, timestamp: sequenceNumber * 960, ssrc },
    Buffer.of(111, 1, 2, 3),
  );

async function untilOpen(target: MediaTrack | DataChannel): Promise<void> {
  if (!target.isOpen) await once(target, 'onOpen');
}

/** Sends until the first packet has come through: SRTP drops what comes before its keys. */
async function firstPacket(from: MediaTrack, to: MediaTrack, ssrc: number): Promise<Buffer> {
  const received = once(to, 'onPacket');
  let sequenceNumber = 0;
  const timer = setInterval(() => from.send(rtp(ssrc, sequenceNumber++)), 20);
  const [packet] = await received;
  clearInterval(timer);
  return packet as Buffer;
}

describe('PeerConnection', () => {
  test('carries an audio track: described as asked, RTP and RTCP go through as they are', async () => {
    const peers = open();
    const track = addAudio(peers.a, '0', 7);
    const incoming = once(peers.b, 'onTrack');
    const connected = bothConnected(peers);
    const described = peers.negotiate();
    const [theirs] = (await incoming) as [MediaTrack];
    expect(theirs).toMatchObject({ mid: '0', kind: 'audio' });
    await Promise.all([described, connected]);
    await untilOpen(track);
    const packet = await firstPacket(track, theirs, 7);
    expect(parseRtp(packet)).toMatchObject({ ssrc: 7, payloadType: 63, payload: Buffer.of(111, 1, 2, 3) });
    expect(peers.a.selectedCandidatePair()).toMatchObject({
      local: { address: '127.0.0.1', protocol: 'udp' },
      remote: { address: '127.0.0.1', protocol: 'udp' },
    });
    expect(peers.a.bytesSent).toBeGreaterThan(0);
  });

  test('the offer says what was asked for', async () => {
    const { a } = open();
    addAudio(a, '0', 7);
    const { sdp } = await a.createOffer();
    expect(parseSdp(sdp)).toEqual([
      expect.objectContaining({
        mid: '0',
        kind: 'audio',
        direction: 'sendonly',
        streamId: 'stream',
        trackId: 'track-0',
        ssrcs: [7],
        extensions: new Map([['urn:ietf:params:rtp-hdrext:ssrc-audio-level', 1]]),
        codecs: [
          expect.objectContaining({ payloadType: 63, name: 'red', parameters: '111/111' }),
          expect.objectContaining({ payloadType: 111, name: 'opus', clockRate: 48_000, channels: 2 }),
        ],
      }),
    ]);
  });

  test('data channels carry messages both ways, reliable and lossy', async () => {
    const peers = open();
    const reliable = peers.a.createDataChannel('_reliable', { ordered: true });
    const lossy = peers.a.createDataChannel('_lossy', { ordered: false, maxRetransmits: 0 });
    const theirs = new Map<string, DataChannel>();
    const bothThere = new Promise<void>((resolve) => {
      peers.b.onDataChannel = (channel) => {
        theirs.set(channel.label, channel);
        if (theirs.size === 2) resolve();
      };
    });
    expect(reliable.send(Buffer.of(1))).toBe(false);
    await peers.negotiate();
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
    await peers.negotiate();
    await untilOpen(channel);
    channel.setBufferedAmountLowThreshold(100_000);
    for (let i = 0; i < 100; i++) channel.send(Buffer.alloc(60_000));
    expect(channel.bufferedAmount).toBeGreaterThan(100_000);
    // What left while more was still being queued is told of too: only the last word counts.
    while (channel.bufferedAmount > 100_000) await once(channel, 'onBufferedAmountLow');
  });

  test('a track added to a connection that began with data opens after a new offer', async () => {
    const peers = open();
    const channel = peers.a.createDataChannel('_reliable', { ordered: true });
    await peers.negotiate();
    await untilOpen(channel);
    const incoming = once(peers.b, 'onTrack');
    const track = addAudio(peers.a, '1', 8);
    await peers.negotiate();
    const [theirs] = (await incoming) as [MediaTrack];
    await untilOpen(track);
    expect(parseRtp(await firstPacket(track, theirs, 8))).toMatchObject({ ssrc: 8 });
    expect(channel.isOpen).toBe(true);
  });

  test('a closed track ends at the other side, and its successor works', async () => {
    const peers = open();
    const first = addAudio(peers.a, '0', 7);
    const firstIncoming = once(peers.b, 'onTrack');
    await peers.negotiate();
    const [firstTheirs] = (await firstIncoming) as [MediaTrack];
    await untilOpen(first);
    await firstPacket(first, firstTheirs, 7);
    first.close();
    expect(first.send(rtp(7, 1))).toBe(false);
    const incoming = once(peers.b, 'onTrack');
    const second = addAudio(peers.a, '1', 8);
    await peers.negotiate();
    const [theirs] = (await incoming) as [MediaTrack];
    await untilOpen(second);
    await firstPacket(second, theirs, 8);
  });

  test.each([
    '',
    'v=0',
    'not a description',
    'v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n',
  ])('refuses %j as a description, and goes on', async (sdp) => {
    const peers = open();
    expect(() => peers.b.setRemoteDescription({ type: 'offer', sdp })).toThrow(OffhookError);
    const channel = peers.a.createDataChannel('_reliable', { ordered: true });
    await peers.negotiate();
    await untilOpen(channel);
  });

  test('an answer without an offer, and an answer that was not asked for, are errors', async () => {
    const { a } = open();
    await expect(a.createAnswer()).rejects.toMatchObject({ code: 'OFFHOOK_TRANSPORT' });
    const other = open();
    addAudio(other.a, '0', 7);
    other.b.setRemoteDescription(await other.a.createOffer());
    const answer = await other.b.createAnswer();
    expect(() => a.setRemoteDescription(answer)).toThrow(OffhookError);
  });

  test('an address that is not this machine’s is an error, and not the end of the process', async () => {
    const pc = new PeerConnection({ name: 'x', bindAddress: '203.0.113.5' });
    pc.createDataChannel('_reliable', { ordered: true });
    await expect(pc.createOffer()).rejects.toMatchObject({ code: 'OFFHOOK_TRANSPORT' });
    pc.close();
  });

  test('an offer of nothing is an error, and an offer that was not answered can be made anew', async () => {
    const peers = open();
    await expect(peers.a.createOffer()).rejects.toMatchObject({ code: 'OFFHOOK_TRANSPORT' });
    const channel = peers.a.createDataChannel('_reliable', { ordered: true });
    await peers.a.createOffer();
    await peers.negotiate();
    await untilOpen(channel);
  });

  test('closing rejects the description that is awaited', async () => {
    const { a } = open();
    a.createDataChannel('_reliable', { ordered: true });
    const offer = a.createOffer();
    a.close();
    await expect(offer).rejects.toMatchObject({ code: 'OFFHOOK_CLOSED' });
  });

  test('malformed candidates are errors that change nothing', async () => {
    const peers = open();
    const channel = peers.a.createDataChannel('_reliable', { ordered: true });
    await peers.negotiate();
    for (const candidate of [
      'candidate:',
      'candidate:1 1 udp',
      'nonsense',
      'candidate:1 1 udp 1 999.1.1.1 x typ host',
    ]) {
      expect(() => peers.a.addIceCandidate({ candidate, sdpMid: '0' }), candidate).toThrow(OffhookError);
    }
    peers.a.addIceCandidate({ candidate: '', sdpMid: '0' });
    await untilOpen(channel);
  });

  test('closing ends everything, at once and for good', async () => {
    const peers = open();
    const channel = peers.a.createDataChannel('_reliable', { ordered: true });
    const track = addAudio(peers.a, '1', 7);
    await peers.negotiate();
    await Promise.all([untilOpen(channel), untilOpen(track)]);
    const called: string[] = [];
    peers.a.onStateChange = (state) => called.push(state);
    peers.a.close();
    peers.a.close();
    await delay(50);
    expect(called).toEqual([]);
    expect(peers.a.state).toBe('closed');
    expect(channel.send(Buffer.of(1))).toBe(false);
    expect(track.send(rtp(7, 1))).toBe(false);
    expect(peers.a.selectedCandidatePair()).toBeUndefined();
    await expect(peers.a.createOffer()).rejects.toMatchObject({ code: 'OFFHOOK_CLOSED' });
    expect(() => peers.a.setRemoteDescription({ type: 'answer', sdp: 'v=0' })).toThrow(OffhookError);
    expect(() => peers.a.createDataChannel('x', { ordered: true })).toThrow(OffhookError);
  });

  test('twelve connections leave no descriptor behind', async () => {
    const countDescriptors = () => readdirSync('/proc/self/fd').length;
    const connectOnce = async () => {
      const peers = makePeers();
      const channel = peers.a.createDataChannel('_reliable', { ordered: true });
      await peers.negotiate();
      await untilOpen(channel);
      peers.close();
    };
    await connectOnce();
    const before = countDescriptors();
    for (let i = 0; i < 12; i++) await connectOnce();
    await expect.poll(countDescriptors, { timeout: 5_000 }).toBeLessThanOrEqual(before + 2);
  });

  test('closing before anything came of it, at any step, is harmless', async () => {
    for (let step = 0; step < 4; step++) {
      const peers = makePeers();
      peers.a.createDataChannel('_reliable', { ordered: true });
      const offer = step > 0 ? await peers.a.createOffer() : undefined;
      if (step > 1) peers.b.setRemoteDescription(offer!);
      if (step > 2) await peers.b.createAnswer();
      peers.close();
    }
  });
});

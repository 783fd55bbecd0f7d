import { afterEach, expect, test } from 'vitest';
import {
  CongestionControl,
  isRtcp,
  parseRtp,
  serializeRtp,
  TransportFeedbackRecorder,
} from '../../src/rtp/index.js';
import { candidateAddress, parseDescription } from '../../src/transport/index.js';
import { packedPicture, VideoReceiver, VideoSender, VideoSource } from '../../src/video/index.js';
import { connected, makePeers } from '../transport/peers.js';
import { startUdpRelay } from '../transport/udp-relay.js';

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0).reverse()) close();
});

const linkBps = 300_000;
const queueMs = 400;
const audioSsrc = 5;
const videoSsrc = 7;
const wantedBps = 1_500_000;
const width = 640;
const height = 360;
const withoutCandidates = (sdp: string) => sdp.replace(/a=candidate:.*\r\n/g, '');

/** A picture that no encoder makes small. */
function noise(count: number) {
  const picture = packedPicture('i420', width, height);
  const { bytes } = picture.planes[0]!;
  let seed = count + 1;
  for (let at = 0; at < width * height; at++) {
    if (at % 16 === 0) seed = (seed * 1_103_515_245 + 12_345) & 0x7fffffff;
    bytes[at] = 64 + (seed >> 24);
  }
  bytes.fill(128, width * height);
  return picture;
}

/** From one peer to the other, over a link that carries 300 kbit/s and then delays and drops. */
async function connectOverNarrowLink() {
  const peers = makePeers();
  closers.push(() => peers.close());
  const { a, b } = peers;
  a.createDataChannel('_reliable', { ordered: true });
  const answer = b.answer(withoutCandidates(a.offer()));
  const [theirs] = parseDescription(answer).transport.candidates;
  const relay = await startUdpRelay(candidateAddress(theirs!)!.port);
  closers.push(() => relay.close());
  a.pc.acceptAnswer(withoutCandidates(answer));
  a.pc.addIceCandidate({ candidate: relay.candidate, sdpMid: '0' });
  await Promise.all([connected(a), connected(b)]);
  let freeAtMs = 0;
  const waitMs = () => Math.max(0, freeAtMs - performance.now());
  relay.passes = (_packet, to) => to === 'client' || waitMs() < queueMs;
  relay.heldMs = (packet, to) => {
    if (to === 'client') return 0;
    freeAtMs = performance.now() + waitMs() + ((packet.length + 28) * 8_000) / linkBps;
    return waitMs();
  };
  return { a: a.pc, b: b.pc };
}

test('over a link of 300 kbit/s video goes on with less, and audio beside it is neither lost nor late', async () => {
  const { a, b } = await connectOverNarrowLink();
  const failures: unknown[] = [];
  const congestion = new CongestionControl({
    send: (packet) => void a.sendPacket(packet),
    onError: (error) => failures.push(error),
  });
  const source = new VideoSource({ width, height });
  const plan = { rid: undefined, scale: 1, maxBitrateBps: wantedBps, maxFramesPerSecond: 15 };
  const sender = new VideoSender({
    source,
    codec: 'h264',
    payloadType: 96,
    layers: [{ plan, ssrc: videoSsrc, repair: { ssrc: 8, payloadType: 97 } }],
    send: (packet) => void a.sendPacket(packet),
    cname: 'test',
    random: Math.random,
    congestion,
    transportSequenceId: 3,
  });
  const receiver = new VideoReceiver({
    format: {
      payloadTypes: new Map(),
      repairs: new Map(),
      orientationExtensionId: undefined,
      transportSequenceId: 3,
    },
    sendRtcp: (packet) => void b.sendPacket(packet),
  });
  receiver.setFormat(
    {
      payloadTypes: new Map<number, { codec: 'h264' } | { repairs: number }>([
        [96, { codec: 'h264' }],
        [97, { repairs: 96 }],
      ]),
      repairs: new Map([[8, videoSsrc]]),
      orientationExtensionId: undefined,
      transportSequenceId: 3,
    },
    new TransportFeedbackRecorder(1),
  );
  let pictures = 0;
  receiver.openStream({ onFrame: () => void pictures++, onEnd: () => {} });
  const audio: { sentMs: number; delayMs: number | undefined }[] = [];
  b.onPacket = (packet) => {
    const rtp = isRtcp(packet) ? undefined : parseRtp(packet);
    const sent = rtp?.ssrc === audioSsrc ? audio[rtp.payload.readUInt32BE(0)] : undefined;
    if (sent) sent.delayMs = performance.now() - sent.sentMs;
    else receiver.handlePacket(packet);
  };
  a.onPacket = (packet) => sender.handleRtcp(packet);
  sender.start();
  closers.push(() => {
    sender.close();
    receiver.close();
    congestion.close();
  });
  let filmed = 0;
  const camera = setInterval(() => {
    source.captureFrame({ picture: noise(filmed++), timestampUs: 0, rotation: 0 });
  }, 66);
  const microphone = setInterval(() => {
    const payload = Buffer.alloc(80);
    payload.writeUInt32BE(audio.length);
    const sequenceNumber = audio.length & 0xffff;
    audio.push({ sentMs: performance.now(), delayMs: undefined });
    const header = {
      payloadType: 111,
      marker: false,
      sequenceNumber,
      timestamp: 960 * audio.length,
      ssrc: audioSsrc,
    };
    a.sendPacket(serializeRtp(header, payload));
  }, 20);
  closers.push(() => {
    clearInterval(camera);
    clearInterval(microphone);
  });

  await expect.poll(() => pictures, { timeout: 30_000 }).toBeGreaterThan(0);
  await expect.poll(() => congestion.bitrateBps, { timeout: 30_000 }).toBeLessThan(linkBps);
  // What was sent before the estimate fell has left the queue, and the encoder has begun with less.
  const settled = audio.length + 150;
  await expect.poll(() => audio.length, { timeout: 30_000 }).toBeGreaterThan(settled);
  const before = { pictures, ...receiver.stats() };
  const end = settled + 300;
  await expect.poll(() => audio.length, { timeout: 60_000, interval: 100 }).toBeGreaterThan(end + 50);

  const heard = audio.slice(settled, end);
  const delays = heard.flatMap(({ delayMs }) => delayMs ?? []).sort((x, y) => x - y);
  expect(heard.length - delays.length).toBeLessThan(heard.length / 20);
  expect(delays[Math.floor(delays.length / 2)]).toBeLessThan(queueMs / 2);
  const [layer] = sender.stats().layers;
  expect(layer!.targetBitrateBps).toBeLessThan(linkBps);
  expect(pictures - before.pictures).toBeGreaterThan(5);
  expect(failures).toEqual([]);
}, 120_000);

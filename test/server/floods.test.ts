import {
  AddTrackRequest,
  Ping,
  SessionDescription,
  TrackType,
  TrickleRequest,
  UpdateSubscription,
} from '@livekit/protocol';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type RoomServer, startServer } from '../../src/server/index.js';
import { limits } from '../../src/server/limits.js';
import { ServerProcess } from '../support/server-process.js';
import { audioOffer, SignalPeer } from './signal-peer.js';

/** Longer than any of it takes on a busy machine, and a fraction of what it took: seconds. */
const soonMs = 1_000;

const offer = (sdp: string) => new SessionDescription({ type: 'offer', sdp });
const head = audioOffer('c').split('m=audio')[0]!.replace('a=group:BUNDLE 0\r\n', '');
const section = (mid: number, lines: readonly string[] = []) =>
  [
    'm=audio 9 UDP/TLS/RTP/SAVPF 111',
    'c=IN IP4 0.0.0.0',
    'a=ice-ufrag:abcd',
    'a=ice-pwd:abcdefghijklmnopqrstuvwx',
    `a=fingerprint:sha-256 ${Array(32).fill('AB').join(':')}`,
    'a=setup:actpass',
    `a=mid:${mid}`,
    'a=sendonly',
    `a=msid:stream track-${mid}`,
    'a=rtcp-mux',
    'a=rtpmap:111 opus/48000/2',
    `a=ssrc:${mid + 1} cname:c`,
    ...lines,
    '',
  ].join('\r\n');
const sections = (count: number) => head + Array.from({ length: count }, (_, mid) => section(mid)).join('');

describe('a flood by one client', () => {
  let server: ServerProcess;
  let flooder: SignalPeer;
  let witness: SignalPeer;

  beforeAll(async () => {
    server = await ServerProcess.start();
  });
  beforeEach(async ({ task }) => {
    witness = await SignalPeer.join(server.url, task.name, 'witness');
    flooder = await SignalPeer.join(server.url, task.name, 'flooder', { canUpdateOwnMetadata: true });
  });
  afterEach(() => {
    witness.close();
    flooder.close();
  });
  afterAll(() => server.stop());

  /** The longest that the witness waits for an answer until `done`. */
  async function worstAnswerMs(done: Promise<unknown>): Promise<number> {
    let running = true;
    const end = done.finally(() => {
      running = false;
    });
    let worstMs = 0;
    do {
      worstMs = Math.max(worstMs, await witness.settled());
    } while (running);
    await end;
    return Math.max(worstMs, await witness.settled());
  }

  /** What else the flooder sends is answered, or it was sent away. */
  const served = () => Promise.race([flooder.settled(60_000), flooder.closed]);

  test('of tracks, brought by one offer', async () => {
    for (let i = 0; i < 1_000; i++)
      flooder.send({ case: 'addTrack', value: new AddTrackRequest({ cid: `track-${i}` }) });
    flooder.send({ case: 'offer', value: offer(sections(limits.descriptionSections.value)) });
    expect(await worstAnswerMs(served())).toBeLessThan(soonMs);
    const { participants } = await witness.until(
      'update',
      ({ participants: [first] }) => (first?.tracks.length ?? 0) > 0,
    );
    expect(participants[0]?.tracks).toHaveLength(limits.tracksPerParticipant.value);
    expect(await flooder.next('requestResponse')).toMatchObject({ reason: 3, request: { case: 'addTrack' } });
  });

  test('of tracks without an offer', async () => {
    for (let i = 0; i < 20_000; i++)
      flooder.send({ case: 'addTrack', value: new AddTrackRequest({ cid: `track-${i}` }) });
    expect(await worstAnswerMs(flooder.next('trackPublished'))).toBeLessThan(soonMs);
    expect(await worstAnswerMs(new Promise((resolve) => setTimeout(resolve, 500)))).toBeLessThan(soonMs);
  });

  test.each<[string, () => string]>([
    ['36,000 sections', () => head + 'm=audio 9 UDP/TLS/RTP/SAVPF\r\n'.repeat(36_000)],
    ['sections that browsers write', () => sections(2_000)],
    ['lines', () => sections(1) + 'a=x\r\n'.repeat(200_000)],
    ['bytes', () => `${sections(1)}a=x:${'x'.repeat(900_000)}\r\n`],
  ])('of %s in one offer sends the client away', async (_what, sdp) => {
    flooder.send({ case: 'offer', value: offer(sdp()) });
    expect(await worstAnswerMs(flooder.closed)).toBeLessThan(soonMs);
    expect(await flooder.next('leave')).toMatchObject({ reason: 6, action: 0 });
    await witness.until(
      'update',
      ({ participants: [first] }) => first?.identity === 'flooder' && first.state === 3,
    );
  });

  test('of codecs in one section', async () => {
    const codecs = Array.from(
      { length: 12_000 },
      (_, i) => `a=rtpmap:${i} opus/48000/2\r\na=fmtp:${i} minptime=10`,
    );
    flooder.send({ case: 'offer', value: offer(head + section(0, codecs)) });
    expect(await worstAnswerMs(served())).toBeLessThan(soonMs);
  });

  test('of offers', async () => {
    const sdp = sections(100);
    for (let i = 0; i < 300; i++) flooder.send({ case: 'offer', value: offer(sdp) });
    expect(await worstAnswerMs(new Promise((resolve) => setTimeout(resolve, 3_000)))).toBeLessThan(soonMs);
  });

  test('of candidates before the offer, and after', async () => {
    const trickle = (candidate: string) =>
      new TrickleRequest({ candidateInit: JSON.stringify({ candidate, sdpMid: '0' }), target: 0 });
    const candidate = (i: number) => `candidate:1 1 udp 1 10.1.${i >> 8}.${i & 255} 9 typ host`;
    for (let i = 0; i < 20_000; i++) flooder.send({ case: 'trickle', value: trickle(candidate(i)) });
    flooder.send({ case: 'offer', value: offer(audioOffer('c')) });
    expect(await worstAnswerMs(new Promise((resolve) => setTimeout(resolve, 2_000)))).toBeLessThan(soonMs);
  });

  test('of candidates with names starts no look-ups', async () => {
    await flooder.publish({ cid: 'c' });
    const before = server.threads;
    for (let i = 0; i < 500; i++) {
      const init = { candidate: `candidate:1 1 udp 1 host-${i}.example.invalid 9 typ host`, sdpMid: '0' };
      flooder.send({
        case: 'trickle',
        value: new TrickleRequest({ candidateInit: JSON.stringify(init), target: 0 }),
      });
    }
    await flooder.settled();
    const named = audioOffer('c').replace(
      /$/,
      'a=candidate:1 1 udp 1 another.example.invalid 9 typ host\r\n',
    );
    flooder.send({ case: 'offer', value: offer(named) });
    await flooder.settled();
    expect(server.threads).toBeLessThan(before + 10);
  });

  test('of wishes for tracks that do not exist', async () => {
    for (let i = 0; i < 200; i++) {
      const trackSids = Array.from({ length: 1_000 }, (_, j) => `TR_${i}_${j}`);
      flooder.send({ case: 'subscription', value: new UpdateSubscription({ trackSids, subscribe: true }) });
    }
    expect(await worstAnswerMs(served())).toBeLessThan(soonMs);
  });

  test('of changes that others are told of', async () => {
    for (let i = 0; i < 3_000; i++) {
      flooder.send({
        case: 'updateMetadata',
        value: { metadata: `${i}`, attributes: {}, name: '', requestId: 0 } as never,
      });
    }
    expect(await worstAnswerMs(new Promise((resolve) => setTimeout(resolve, 2_000)))).toBeLessThan(soonMs);
  });

  test('of messages that are none', async () => {
    for (let i = 0; i < 20_000; i++) flooder.sendRaw(Buffer.from([0xff, 0xff, 0xff]));
    expect(await worstAnswerMs(new Promise((resolve) => setTimeout(resolve, 1_000)))).toBeLessThan(soonMs);
  });

  test('of small requests is served in order, as fast as its budget allows', async () => {
    const { signalRequestBurst, signalRequestsPerSecond } = limits;
    const count = signalRequestBurst.value + signalRequestsPerSecond.value;
    const startMs = performance.now();
    for (let i = 0; i < count; i++) {
      flooder.send({ case: 'pingReq', value: new Ping({ timestamp: BigInt(1_000_000 + i) }) });
    }
    for (let i = 0; i < count; i++) {
      expect((await flooder.next('pongResp')).lastPingTimestamp).toBe(BigInt(1_000_000 + i));
    }
    expect(performance.now() - startMs).toBeGreaterThan(900);
  });
});

describe('what a client may announce', () => {
  let server: RoomServer;

  beforeAll(async () => {
    server = await startServer({ port: 0 });
  });
  afterAll(() => server.close());

  test.each([
    ['audio, brought as video', TrackType.AUDIO, 'video'],
    ['video, brought as audio', TrackType.VIDEO, 'audio'],
  ] as const)('%s is not published', async (room, type, kind) => {
    const peer = await SignalPeer.join(server.url, room, 'ada');
    const witness = await SignalPeer.join(server.url, room, 'witness');
    peer.send({ case: 'addTrack', value: new AddTrackRequest({ cid: 'c', type }) });
    await peer.next('trackPublished');
    const sdp =
      kind === 'audio'
        ? audioOffer('c')
        : audioOffer('c')
            .replace('m=audio 9 UDP/TLS/RTP/SAVPF 111 63 0', 'm=video 9 UDP/TLS/RTP/SAVPF 96')
            .replace('a=rtpmap:111 opus/48000/2', 'a=rtpmap:96 VP8/90000');
    peer.send({ case: 'offer', value: offer(sdp) });
    await peer.next('answer');
    await peer.settled();
    await witness.settled();
    const later = await SignalPeer.join(server.url, room, 'later');
    expect(later.join?.otherParticipants.flatMap(({ tracks }) => tracks)).toEqual([]);
    for (const each of [peer, witness, later]) each.close();
  });
});

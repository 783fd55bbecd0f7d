import { AddTrackRequest } from '@livekit/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RoomServer, startServer } from '../../src/server/index.js';
import { SignalPeer } from './signal-peer.js';

describe('signalling', () => {
  let server: RoomServer;

  beforeAll(async () => {
    server = await startServer({ port: 0, departureTimeoutS: 0.05, emptyTimeoutS: 0.05 });
  });
  afterAll(() => server.close());

  test('the join response says who is there and what to do', async () => {
    const ada = await SignalPeer.join(server.url, 'join', 'ada');
    const bob = await SignalPeer.join(server.url, 'join', 'bob');
    expect(bob.join).toMatchObject({
      subscriberPrimary: true,
      pingInterval: 5,
      pingTimeout: 15,
      fastPublish: true,
    });
    expect(bob.join?.otherParticipants.map(({ identity }) => identity)).toEqual(['ada']);
    expect(bob.join?.room).toMatchObject({ name: 'join', numParticipants: 2 });
    const { sdp } = await bob.next('offer');
    expect(sdp).toMatch(/a=candidate:1 1 udp \d+ 127\.0\.0\.1 \d+ typ host/);
    expect((await ada.next('update')).participants[0]).toMatchObject({ identity: 'bob', state: 1 });
    ada.close();
    bob.close();
  });

  test('garbage costs its sender nothing but the message', async () => {
    const ada = await SignalPeer.join(server.url, 'garbage', 'ada');
    ada.sendRaw(Buffer.from([0xff, 0xff, 0xff, 0xff]));
    ada.sendRaw(Buffer.alloc(0));
    ada.send({ case: 'offer', value: { type: 'offer', sdp: 'v=nonsense' } as never });
    expect(await ada.next('leave')).toMatchObject({ action: 2 });
    ada.send({ case: 'answer', value: { type: 'answer', sdp: '' } as never });
    ada.send({ case: 'trickle', value: { candidateInit: '{{{', target: 0 } as never });
    ada.send({ case: 'trickle', value: { candidateInit: '{"candidate":"x"}', target: 1 } as never });
    ada.send({ case: 'mute', value: { sid: 'TR_none', muted: true } as never });
    ada.send({ case: 'pingReq', value: { timestamp: 7n, rtt: 0n } as never });
    expect(await ada.next('pongResp')).toMatchObject({ lastPingTimestamp: 7n });
    ada.close();
  });

  test('a client that speaks JSON is answered in JSON', async () => {
    const ada = await SignalPeer.join(server.url, 'json', 'ada');
    ada.sendRaw('{"ping":"5"}');
    expect(await ada.next('pong')).toBeGreaterThan(0n);
    ada.close();
  });

  test('the older of two with one identity has to go', async () => {
    const watcher = await SignalPeer.join(server.url, 'twins', 'watcher');
    const older = await SignalPeer.join(server.url, 'twins', 'ada');
    const newer = await SignalPeer.join(server.url, 'twins', 'ada');
    expect(await older.next('leave')).toMatchObject({ reason: 2, action: 0 });
    await older.closed;
    const { participants } = await watcher.until('update', (update) => update.participants[0]?.state === 3);
    expect(participants[0]?.sid).toBe(older.join?.participant?.sid);
    expect(newer.join?.otherParticipants.map(({ identity }) => identity)).toEqual(['watcher']);
    watcher.close();
    newer.close();
  });

  test('metadata and attributes are changed by those who may, and refused to others', async () => {
    const ada = await SignalPeer.join(server.url, 'metadata', 'ada', { canUpdateOwnMetadata: true });
    const bob = await SignalPeer.join(server.url, 'metadata', 'bob');
    const change = { metadata: 'm', name: 'Ada', attributes: { a: '1', b: '2' }, requestId: 3 };
    ada.send({ case: 'updateMetadata', value: change as never });
    expect(await ada.next('requestResponse')).toMatchObject({ requestId: 3, reason: 0 });
    const seen = await bob.until('update', (update) => update.participants[0]?.metadata === 'm');
    expect(seen.participants[0]).toMatchObject({ name: 'Ada', attributes: { a: '1', b: '2' } });
    ada.send({ case: 'updateMetadata', value: { ...change, attributes: { a: '' }, requestId: 4 } as never });
    const after = await bob.until('update', (update) => !('a' in (update.participants[0]?.attributes ?? {})));
    expect(after.participants[0]?.attributes).toEqual({ b: '2' });
    bob.send({ case: 'updateMetadata', value: { ...change, requestId: 5 } as never });
    expect(await bob.next('requestResponse')).toMatchObject({ requestId: 5, reason: 2 });
    ada.close();
    bob.close();
  });

  test('a subscription appears in the offer, and goes when it is ended or forbidden', async () => {
    const ada = await SignalPeer.join(server.url, 'subscribe', 'ada');
    const bob = await SignalPeer.join(server.url, 'subscribe', 'bob');
    const first = await bob.next('offer');
    const sid = await ada.publish({ cid: 'c' });
    const adaSid = ada.join?.participant?.sid;
    const answer = (id: number, sections: string) =>
      bob.send({ case: 'answer', value: { type: 'answer', id, sdp: answerSdp(sections) } as never });
    answer(first.id, '');
    const offered = await bob.next('offer');
    expect(offered.sdp).toContain(`a=msid:${adaSid}|${sid} ${sid}`);
    answer(offered.id, 'recvonly');

    bob.send({
      case: 'subscription',
      value: { trackSids: [sid], subscribe: false, participantTracks: [] } as never,
    });
    const ended = await bob.next('offer');
    expect(ended.sdp).not.toContain(sid);
    answer(ended.id, 'inactive');
    bob.send({
      case: 'subscription',
      value: { trackSids: [sid], subscribe: true, participantTracks: [] } as never,
    });
    const again = await bob.next('offer');
    expect(again.sdp.match(/^m=audio/gm)).toHaveLength(1);
    expect(again.sdp).toContain(sid);
    answer(again.id, 'recvonly');

    ada.send({
      case: 'subscriptionPermission',
      value: { allParticipants: false, trackPermissions: [] } as never,
    });
    expect(await bob.next('subscriptionPermissionUpdate')).toMatchObject({ trackSid: sid, allowed: false });
    expect((await bob.next('offer')).sdp).not.toContain(sid);
    ada.close();
    bob.close();
  });

  test('the wishes for a track end with it: another one in its section is answered without them', async () => {
    const ada = await SignalPeer.join(server.url, 'wishes', 'ada');
    const answer = async (cid: string, direction: string) => {
      ada.offer(cid, direction);
      return (await ada.next('answer')).sdp;
    };
    ada.send({ case: 'addTrack', value: new AddTrackRequest({ cid: 'plain', disableRed: true }) });
    await ada.next('trackPublished');
    for (let i = 0; i < 2; i++) expect(await answer('plain', 'sendonly')).not.toContain('red/48000');
    await answer('plain', 'inactive');
    expect(await answer('nobody announced it', 'sendonly')).toContain('red/48000');
    ada.close();
  });

  test('muting and unpublishing are told to the others', async () => {
    const ada = await SignalPeer.join(server.url, 'mute', 'ada');
    const bob = await SignalPeer.join(server.url, 'mute', 'bob');
    const sid = await ada.publish({ cid: 'c' });
    ada.send({ case: 'mute', value: { sid, muted: true } as never });
    await bob.until('update', ({ participants }) => participants[0]?.tracks[0]?.muted === true);
    ada.offer('c', 'inactive');
    await bob.until('update', ({ participants }) => participants[0]?.tracks.length === 0);
    expect(await ada.next('trackUnpublished')).toMatchObject({ trackSid: sid });
    ada.close();
    bob.close();
  });

  test('a room closes when everybody has left, and its name opens a new one', async () => {
    const first = await SignalPeer.join(server.url, 'short', 'ada');
    first.send({ case: 'leave', value: {} as never });
    await first.closed;
    await expect
      .poll(async () => {
        const next = await SignalPeer.join(server.url, 'short', 'ada');
        next.send({ case: 'leave', value: {} as never });
        await next.closed;
        await new Promise((resolve) => setTimeout(resolve, 60));
        return next.join?.room?.sid;
      })
      .not.toBe(first.join?.room?.sid);
  });
});

/** An answer as a subscriber gives it: data channels, and one audio section unless `direction` is empty. */
function answerSdp(direction: string): string {
  const audio = [
    'm=audio 9 UDP/TLS/RTP/SAVPF 63 111',
    'c=IN IP4 0.0.0.0',
    'a=mid:1',
    `a=${direction}`,
    'a=rtpmap:63 red/48000/2',
    'a=rtpmap:111 opus/48000/2',
  ];
  return `${[
    'v=0',
    'o=- 1 1 IN IP4 127.0.0.1',
    's=-',
    't=0 0',
    'a=ice-ufrag:efgh',
    'a=ice-pwd:abcdefghijklmnopqrstuvwx',
    `a=fingerprint:sha-256 ${Array(32).fill('CD').join(':')}`,
    'a=setup:active',
    'm=application 9 UDP/DTLS/SCTP webrtc-datachannel',
    'c=IN IP4 0.0.0.0',
    'a=mid:0',
    'a=sctp-port:5000',
    ...(direction === '' ? [] : audio),
  ].join('\r\n')}\r\n`;
}

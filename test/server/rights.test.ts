import {
  AddTrackRequest,
  DataPacket,
  DataPacket_Kind,
  ParticipantPermission,
  SessionDescription,
  TrackSource,
  UpdateParticipantMetadata,
  UserPacket,
} from '@livekit/protocol';
import { RoomServiceClient, type VideoGrant } from 'livekit-server-sdk';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { DataTracks } from '../../src/server/data-tracks.js';
import { type RoomServer, startServer } from '../../src/server/index.js';
import { limits } from '../../src/server/limits.js';
import { Room } from '../../src/server/room.js';
import { handleRequest } from '../../src/server/signal-requests.js';
import { audioOffer, SignalPeer, signClaims, signToken } from './signal-peer.js';

describe('what a participant may do', () => {
  let server: RoomServer;
  let rooms: RoomServiceClient;

  beforeAll(async () => {
    server = await startServer({ port: 0 });
    rooms = new RoomServiceClient(server.url.replace('ws', 'http'), 'devkey', 'secret');
  });
  afterAll(() => server.close());

  const announce = (peer: SignalPeer, source: TrackSource, cid = `${source}`) =>
    peer.send({ case: 'addTrack', value: new AddTrackRequest({ cid, source }) });
  const bring = (peer: SignalPeer, cid: string) =>
    peer.send({ case: 'offer', value: new SessionDescription({ type: 'offer', sdp: audioOffer(cid) }) });

  const microphone = TrackSource.MICROPHONE;
  test.each<[string, VideoGrant, boolean]>([
    ['nothing said', {}, true],
    ['canPublish', { canPublish: true }, true],
    ['no canPublish', { canPublish: false }, false],
    ['the source', { canPublishSources: [microphone] }, true],
    ['another source', { canPublishSources: [TrackSource.CAMERA] }, false],
    ['canPublish, another source', { canPublish: true, canPublishSources: [TrackSource.CAMERA] }, false],
    ['no canPublish, but the source', { canPublish: false, canPublishSources: [microphone] }, false],
  ])('with %s in its token, to publish a microphone', async (room, grant, isAllowed) => {
    const peer = await SignalPeer.join(server.url, `publish ${room}`, 'ada', grant);
    announce(peer, microphone);
    if (isAllowed) await peer.next('trackPublished');
    else
      expect(await peer.next('requestResponse')).toMatchObject({ reason: 2, request: { case: 'addTrack' } });
    peer.close();
  });

  test('a track that was announced before the permission went is not published after', async () => {
    const peer = await SignalPeer.join(server.url, 'revoked', 'ada');
    announce(peer, microphone, 'c');
    await peer.next('trackPublished');
    await rooms.updateParticipant('revoked', 'ada', {
      permission: new ParticipantPermission({ canSubscribe: true, canPublish: false }),
    });
    bring(peer, 'c');
    await peer.next('answer');
    await peer.settled();
    expect((await rooms.getParticipant('revoked', 'ada')).tracks).toEqual([]);
    peer.close();
  });

  test('a published track ends when its source is no longer allowed, and others go on', async () => {
    const peer = await SignalPeer.join(server.url, 'withdrawn', 'ada');
    const sid = await peer.publish({ cid: 'c', source: microphone });
    await rooms.updateParticipant('withdrawn', 'ada', {
      permission: new ParticipantPermission({ canPublish: true, canPublishSources: [TrackSource.CAMERA] }),
    });
    expect(await peer.next('trackUnpublished')).toMatchObject({ trackSid: sid });
    expect((await rooms.getParticipant('withdrawn', 'ada')).tracks).toEqual([]);
    peer.close();
  });

  test('nothing at all, once it was removed', async () => {
    const witness = await SignalPeer.join(server.url, 'removed', 'witness');
    const peer = await SignalPeer.join(server.url, 'removed', 'ada', { canUpdateOwnMetadata: true });
    // It does not read that it has to leave, and the socket stays open for a while.
    peer.pause();
    await rooms.removeParticipant('removed', 'ada');
    announce(peer, microphone, 'c');
    bring(peer, 'c');
    peer.send({ case: 'updateMetadata', value: new UpdateParticipantMetadata({ metadata: 'ghost' }) });
    await witness.until('update', ({ participants }) => participants[0]?.state === 3);
    // What it has sent comes before the end of its connection.
    peer.resume();
    await peer.closed;
    expect(peer.has('trackPublished')).toBe(false);
    expect(peer.has('answer')).toBe(false);
    await witness.settled();
    expect(witness.has('update')).toBe(false);
    const later = await SignalPeer.join(server.url, 'removed', 'later');
    expect(later.join?.otherParticipants.map(({ identity }) => identity)).toEqual(['witness']);
    for (const each of [witness, later]) each.close();
  });

  /** Joins, and returns what the server holds of it, too. */
  async function joinSeen(room: string, identity: string, grant: VideoGrant = {}) {
    const announced = vi.spyOn(Room.prototype, 'announce');
    const peer = await SignalPeer.join(server.url, room, identity, grant);
    const held = announced.mock.contexts.at(-1) as Room;
    const [participant] = announced.mock.lastCall!;
    announced.mockRestore();
    return { peer, room: held, participant };
  }

  test('nothing at all, with a request that was read before it was removed', async () => {
    const witness = await SignalPeer.join(server.url, 'late', 'witness');
    const { peer, room, participant } = await joinSeen('late', 'ada', { canUpdateOwnMetadata: true });
    await rooms.removeParticipant('late', 'ada');
    await witness.until('update', ({ participants }) => participants[0]?.state === 3);
    const metadata = new UpdateParticipantMetadata({ metadata: 'ghost' });
    handleRequest(room, participant, { case: 'updateMetadata', value: metadata });
    handleRequest(room, participant, { case: 'addTrack', value: new AddTrackRequest({ cid: 'c' }) });
    expect(participant.metadata).toBe('');
    expect(participant.publisher.findByCid('c', undefined)).toBeUndefined();
    await witness.settled();
    expect(witness.has('update')).toBe(false);
    for (const each of [witness, peer]) each.close();
  });

  test.each<[string, VideoGrant, boolean]>([
    ['nothing said', {}, true],
    ['no canPublishData', { canPublishData: false }, false],
    ['no canPublish', { canPublish: false }, false],
    ['canPublishData alone', { canPublish: false, canPublishData: true }, true],
  ])('with %s in its token, to send data, and not once it was removed', async (what, grant, isAllowed) => {
    const witness = await SignalPeer.join(server.url, `data ${what}`, 'witness');
    const { peer, room, participant } = await joinSeen(`data ${what}`, 'ada', grant);
    const value = { case: 'user', value: new UserPacket({ payload: Buffer.from('hello') }) } as const;
    const relay = () =>
      room.relayData(participant, new DataPacket({ value }).toBinary(), DataPacket_Kind.RELIABLE);
    expect(relay()).toHaveLength(isAllowed ? 1 : 0);
    await rooms.removeParticipant(`data ${what}`, 'ada');
    expect(relay()).toEqual([]);
    const tracks = vi.spyOn(DataTracks.prototype, 'relay');
    room.relayTrackPacket(participant, Buffer.alloc(20));
    expect(tracks).not.toHaveBeenCalled();
    tracks.mockRestore();
    for (const each of [witness, peer]) each.close();
  });

  test('without canSubscribe, not to get tracks, also when it asks for them', async () => {
    const ada = await SignalPeer.join(server.url, 'deaf', 'ada');
    const sid = await ada.publish({ cid: 'c' });
    const deaf = await SignalPeer.join(server.url, 'deaf', 'deaf', { canSubscribe: false });
    expect(deaf.join?.subscriberPrimary).toBe(false);
    deaf.send({
      case: 'subscription',
      value: { trackSids: [sid], subscribe: true, participantTracks: [] } as never,
    });
    await deaf.settled();
    await ada.settled();
    expect(deaf.has('offer')).toBe(false);
    await rooms.updateParticipant('deaf', 'deaf', {
      permission: new ParticipantPermission({ canSubscribe: true }),
    });
    expect((await deaf.next('offer')).sdp).toContain(sid);
    for (const each of [ada, deaf]) each.close();
  });

  test('with a name, metadata and attributes as long as is allowed, and no longer', async () => {
    const peer = await SignalPeer.join(server.url, 'sizes', 'ada', { canUpdateOwnMetadata: true });
    const update = async (change: ConstructorParameters<typeof UpdateParticipantMetadata>[0]) => {
      peer.send({ case: 'updateMetadata', value: new UpdateParticipantMetadata(change) });
      return (await peer.next('requestResponse')).reason;
    };
    const { participantNameBytes, metadataBytes, attributesBytes } = limits;
    expect(await update({ name: 'n'.repeat(participantNameBytes.value) })).toBe(0);
    expect(await update({ name: 'n'.repeat(participantNameBytes.value + 1) })).toBe(3);
    expect(await update({ metadata: 'm'.repeat(metadataBytes.value) })).toBe(0);
    expect(await update({ metadata: 'm'.repeat(metadataBytes.value + 1) })).toBe(3);
    expect(await update({ attributes: { a: 'x'.repeat(attributesBytes.value - 1) } })).toBe(0);
    // Little by little, too.
    expect(await update({ attributes: { b: 'x' } })).toBe(3);
    expect(await update({ attributes: { a: '', b: 'x' } })).toBe(0);
    peer.close();
  });

  describe('while it is hidden', () => {
    let hidden: SignalPeer;
    let witness: SignalPeer;

    beforeAll(async () => {
      witness = await SignalPeer.join(server.url, 'hidden', 'witness');
      hidden = await SignalPeer.join(server.url, 'hidden', 'ghost', {
        hidden: true,
        canUpdateOwnMetadata: true,
      });
    });
    afterAll(() => {
      witness.close();
      hidden.close();
    });

    test('to see others, and not to be announced or listed, but counted as livekit-server counts it', async () => {
      expect(hidden.join?.otherParticipants.map(({ identity }) => identity)).toEqual(['witness']);
      hidden.send({ case: 'updateMetadata', value: new UpdateParticipantMetadata({ metadata: 'm' }) });
      expect((await hidden.next('update')).participants[0]).toMatchObject({
        identity: 'ghost',
        metadata: 'm',
      });
      const later = await SignalPeer.join(server.url, 'hidden', 'later');
      expect(later.join?.otherParticipants.map(({ identity }) => identity)).toEqual(['witness']);
      expect(later.join?.room?.numParticipants).toBe(3);
      const { participants } = await witness.next('update');
      expect(participants.map(({ identity }) => identity)).toEqual(['later']);
      expect((await rooms.listRooms(['hidden']))[0]?.numParticipants).toBe(3);
      expect((await rooms.listParticipants('hidden')).map(({ identity }) => identity)).toContain('ghost');
      later.close();
    });

    test('not to appear in the quality of connections or among the speakers', async () => {
      const ghostSid = hidden.join?.participant?.sid;
      hidden.send({ case: 'simulate', value: { scenario: { case: 'speakerUpdate', value: 1 } } as never });
      const { updates } = await witness.next('connectionQuality');
      expect(updates.map(({ participantSid }) => participantSid)).not.toContain(ghostSid);
      await hidden.settled();
      await witness.settled();
      expect(witness.has('speakersChanged')).toBe(false);
    });
  });

  test('while it is hidden, not to be heard of as a speaker, also once it has left', async () => {
    const publish = vi.spyOn(Room.prototype, 'publish');
    const witness = await SignalPeer.join(server.url, 'spoke', 'witness');
    const ghost = await SignalPeer.join(server.url, 'spoke', 'ghost', { hidden: true });
    const ada = await SignalPeer.join(server.url, 'spoke', 'ada');
    await ghost.publish({ cid: 'g' });
    await ada.publish({ cid: 'a' });
    const tracks = publish.mock.calls.flatMap(([, published]) => published);
    publish.mockRestore();
    expect(tracks).toHaveLength(2);
    const speak = setInterval(() => {
      for (const track of tracks) track.onAudioLevel(-10);
    }, 20);
    const heard: string[] = [];
    const until = async (isActive: boolean) => {
      for (;;) {
        const { speakers } = await witness.next('speakersChanged');
        heard.push(...speakers.map(({ sid }) => sid));
        if (speakers.some(({ sid, active }) => sid === adaSid && active === isActive)) return;
      }
    };
    const adaSid = ada.join!.participant!.sid;
    await until(true);
    ghost.send({ case: 'leave', value: {} as never });
    await ghost.closed;
    clearInterval(speak);
    await until(false);
    expect([...new Set(heard)]).toEqual([adaSid]);
    for (const peer of [witness, ada]) peer.close();
  });

  test.each<[string, Record<string, unknown>, object]>([
    ['the agent kind', { kind: 'agent' }, { kind: 4 }],
    ['the agent grant', { grant: { agent: true } }, { kind: 0, permission: { agent: true } }],
    ['the egress kind', { kind: 'egress' }, { kind: 2 }],
    ['the recorder grant', { grant: { recorder: true } }, { kind: 0, permission: { recorder: true } }],
    ['the sip kind', { kind: 'sip' }, { kind: 3 }],
  ])('with %s, to be known as that', async (room, { grant, ...claims }, expected) => {
    const token = await signClaims({
      sub: 'ada',
      video: { roomJoin: true, room, ...(grant as object) },
      ...claims,
    });
    const peer = await SignalPeer.open(server.url, token);
    expect((await peer.next('join')).participant).toMatchObject(expected);
    peer.close();
  });

  test('with a token for another room, not to resume there', async () => {
    const ada = await SignalPeer.join(server.url, 'here', 'ada');
    const sid = ada.join?.participant?.sid ?? '';
    const token = await signToken('ada', { roomJoin: true, room: 'elsewhere' });
    const other = await SignalPeer.open(server.url, token, { reconnect: '1', sid });
    expect(await other.next('leave')).toMatchObject({ action: 2 });
    await ada.settled();
    ada.close();
  });
});

import { gzipSync } from 'node:zlib';
import { AddTrackRequest, JoinRequest, SessionDescription, WrappedJoinRequest } from '@livekit/protocol';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RoomServer, startServer } from '../../src/server/index.js';
import { audioOffer, SignalPeer, signToken } from './signal-peer.js';

describe('joining with one peer connection', () => {
  let server: RoomServer;

  beforeAll(async () => {
    server = await startServer({ port: 0 });
  });
  afterAll(() => server.close());

  function encode(request: Partial<JoinRequest>, { gzip }: { gzip: boolean }): string {
    const bytes = new JoinRequest(request as never).toBinary();
    const joinRequest = gzip ? gzipSync(bytes) : bytes;
    const wrapped = new WrappedJoinRequest({ joinRequest, compression: gzip ? 1 : 0 });
    return Buffer.from(wrapped.toBinary()).toString('base64url');
  }

  test.each([true, false])(
    'tracks and the offer in the join request are answered at once (gzip: %s)',
    async (gzip) => {
      const token = await signToken('ada', { roomJoin: true, room: 'r', canUpdateOwnMetadata: true });
      const request = {
        participantAttributes: { mood: 'calm' },
        addTrackRequests: [{ cid: 'mic' }],
        publisherOffer: new SessionDescription({ type: 'offer', sdp: audioOffer('mic'), id: 1 }),
      };
      const query = { join_request: encode(request as never, { gzip }) };
      const peer = await SignalPeer.open(server.url, token, query, '/rtc/v1');
      expect(await peer.next('join')).toMatchObject({
        subscriberPrimary: false,
        participant: { attributes: { mood: 'calm' } },
      });
      const { track } = await peer.next('trackPublished');
      expect(await peer.next('answer')).toMatchObject({ id: 1 });
      await peer.until('update', ({ participants }) => participants[0]?.tracks[0]?.sid === track?.sid);
      peer.close();
    },
  );

  test('a client whose offer does not bring the track that it announced is asked for another', async () => {
    const token = await signToken('ada', { roomJoin: true, room: 'overdue' });
    const query = { join_request: encode({}, { gzip: true }) };
    const peer = await SignalPeer.open(server.url, token, query, '/rtc/v1');
    await peer.next('join');
    peer.send({ case: 'addTrack', value: new AddTrackRequest({ cid: 'mic' }) });
    await peer.next('trackPublished');
    // Made before the track was added to the connection, as the native engine does now and then.
    peer.offer('', 'recvonly');
    await peer.next('answer');
    // Nothing to receive: only the offer itself is wanted.
    expect(await peer.next('mediaSectionsRequirement')).toMatchObject({ numAudios: 0, numVideos: 0 });
    peer.offer('mic', 'sendonly');
    await peer.until('update', ({ participants }) => participants[0]?.tracks.length === 1);
    peer.close();
  });

  test.each([
    ['no request', '', /join_request is required/],
    ['no protobuf', Buffer.from([255, 255]).toString('base64'), /cannot unmarshal/],
    ['a bomb', encode({ metadata: 'x'.repeat(5_000_000) }, { gzip: true }), /cannot unmarshal/],
  ])('%s is refused', async (_what, joinRequest, text) => {
    const token = await signToken('ada', { roomJoin: true, room: 'r' });
    const query = new URLSearchParams({ access_token: token, join_request: joinRequest });
    const response = await fetch(`${server.url.replace('ws', 'http')}/rtc/v1/validate?${query}`);
    expect(response.status).toBe(400);
    expect(await response.text()).toMatch(text);
  });
});

import {
  DataBlob,
  DataBlobKey,
  DataTrackSchemaId,
  GetDataBlobRequest,
  PublishDataTrackRequest,
  RequestResponse_Reason as Reason,
  StoreDataBlobRequest,
  SubscriptionPermission,
  UnpublishDataTrackRequest,
  UpdateDataSubscription,
} from '@livekit/protocol';
import { RoomServiceClient } from 'livekit-server-sdk';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type RoomServer, startServer } from '../../src/server/index.js';
import { limits } from '../../src/server/limits.js';
import { SignalPeer } from './signal-peer.js';

let server: RoomServer;
let rooms = 0;
const peers: SignalPeer[] = [];

beforeAll(async () => {
  server = await startServer({ port: 0 });
});
afterAll(async () => {
  for (const peer of peers) peer.close();
  await server.close();
});

async function pair(grants: Record<string, object> = {}) {
  const room = `tracks-${++rooms}`;
  const ada = await SignalPeer.join(server.url, room, 'ada', grants.ada);
  const bob = await SignalPeer.join(server.url, room, 'bob', grants.bob);
  peers.push(ada, bob);
  return { room, ada, bob };
}

const publish = (peer: SignalPeer, pubHandle: number, name: string, more = {}) =>
  peer.send({
    case: 'publishDataTrackRequest',
    value: new PublishDataTrackRequest({ pubHandle, name, ...more }),
  });
const subscribe = (peer: SignalPeer, trackSid: string, subscribed = true) =>
  peer.send({
    case: 'updateDataSubscription',
    value: new UpdateDataSubscription({ updates: [{ trackSid, subscribe: subscribed }] }),
  });
const handlesOf = async (peer: SignalPeer) =>
  Object.entries((await peer.next('dataTrackSubscriberHandles')).subHandles);

async function published(peer: SignalPeer, pubHandle: number, name: string): Promise<string> {
  publish(peer, pubHandle, name);
  return (await peer.next('publishDataTrackResponse')).info!.sid;
}

test('a data track is announced, subscribed to under a handle of the subscriber, and ended', async () => {
  const { ada, bob } = await pair();
  const sid = await published(ada, 9, 'sensor');
  const { participants } = await bob.until('update', ({ participants: [one] }) => one!.dataTracks.length > 0);
  expect(participants[0]).toMatchObject({
    isPublisher: true,
    dataTracks: [{ sid, name: 'sensor', pubHandle: 9 }],
  });
  subscribe(bob, sid);
  const [[handle, track]] = (await handlesOf(bob)) as [[string, object]];
  expect(Number(handle)).toBeGreaterThan(0);
  expect(track).toMatchObject({ trackSid: sid, publisherIdentity: 'ada' });
  subscribe(bob, sid, false);
  expect(await handlesOf(bob)).toEqual([]);
  ada.send({ case: 'unpublishDataTrackRequest', value: new UnpublishDataTrackRequest({ pubHandle: 9 }) });
  expect((await ada.next('unpublishDataTrackResponse')).info).toMatchObject({ sid });
  await bob.until('update', ({ participants: [one] }) => one!.dataTracks.length === 0);
});

test.each([
  ['the handle 0', 0, 'x', {}, Reason.INVALID_HANDLE],
  ['a handle that is too large', 65_536, 'x', {}, Reason.INVALID_HANDLE],
  ['no name', 2, '', {}, Reason.INVALID_NAME],
  ['a long name', 2, 'x'.repeat(257), {}, Reason.INVALID_NAME],
  ['the name of another', 2, 'first', {}, Reason.DUPLICATE_NAME],
  ['the handle of another', 1, 'x', {}, Reason.DUPLICATE_HANDLE],
  [
    'an encoding with a long name',
    2,
    'x',
    { frameEncoding: { value: { case: 'custom', value: 'x'.repeat(33) } } },
    Reason.INVALID_REQUEST,
  ],
])('a data track with %s is refused', async (_what, handle, name, more, reason) => {
  const { ada } = await pair();
  await published(ada, 1, 'first');
  publish(ada, handle, name, more);
  const refusal = await ada.next('requestResponse');
  expect(refusal.reason).toBe(reason);
  expect(refusal.request).toMatchObject({ case: 'publishDataTrack', value: { pubHandle: handle } });
});

test('a participant publishes no more data tracks than the limit', async () => {
  const { ada } = await pair();
  const most = limits.tracksPerParticipant.value;
  for (let handle = 1; handle <= most + 1; handle++) publish(ada, handle, `track ${handle}`);
  expect((await ada.next('requestResponse')).reason).toBe(Reason.LIMIT_EXCEEDED);
});

test('data tracks need the grants to publish data and to subscribe, and end with them', async () => {
  const { ada, bob, room } = await pair({ bob: { canPublishData: false } });
  publish(bob, 1, 'x');
  expect((await bob.next('requestResponse')).reason).toBe(Reason.NOT_ALLOWED);
  const sid = await published(ada, 1, 'x');
  subscribe(bob, sid);
  expect(await handlesOf(bob)).toHaveLength(1);
  const rooms = new RoomServiceClient(server.url.replace('ws', 'http'), 'devkey', 'secret');
  const permission = { canPublish: true, canPublishData: true, canSubscribe: false };
  await rooms.updateParticipant(room, 'bob', { permission });
  expect(await handlesOf(bob)).toEqual([]);
  await rooms.updateParticipant(room, 'bob', { permission: { ...permission, canSubscribe: true } });
  expect(await handlesOf(bob)).toHaveLength(1);
  await rooms.updateParticipant(room, 'ada', { permission: { ...permission, canPublishData: false } });
  expect((await ada.next('unpublishDataTrackResponse')).info).toMatchObject({ sid });
});

test('a publisher chooses who may subscribe to its data tracks', async () => {
  const { ada, bob } = await pair();
  const sid = await published(ada, 1, 'x');
  subscribe(bob, sid);
  expect(await handlesOf(bob)).toHaveLength(1);
  const permit = (permission: object) =>
    ada.send({ case: 'subscriptionPermission', value: new SubscriptionPermission(permission) });
  permit({ allParticipants: false });
  expect(await handlesOf(bob)).toEqual([]);
  permit({ trackPermissions: [{ participantIdentity: 'bob', trackSids: [sid] }] });
  expect(await handlesOf(bob)).toHaveLength(1);
});

test('wishes for data tracks that do not exist are not kept', async () => {
  const { ada, bob } = await pair();
  for (let count = 0; count < 100; count++) subscribe(bob, `DTR_${count}`);
  await bob.settled();
  expect(bob.has('dataTrackSubscriberHandles')).toBe(false);
  const sid = await published(ada, 1, 'x');
  subscribe(bob, sid);
  expect(await handlesOf(bob)).toHaveLength(1);
});

const key = (name: string) =>
  new DataBlobKey({ key: { case: 'schemaId', value: new DataTrackSchemaId({ name }) } });
const store = (peer: SignalPeer, requestId: number, name: string, bytes: number) =>
  peer.send({
    case: 'storeDataBlobRequest',
    value: new StoreDataBlobRequest({
      requestId,
      blob: new DataBlob({ key: key(name), contents: new Uint8Array(bytes).fill(65) }),
    }),
  });
const read = (peer: SignalPeer, requestId: number, name: string, participantIdentity: string) =>
  peer.send({
    case: 'getDataBlobRequest',
    value: new GetDataBlobRequest({ requestId, participantIdentity, key: key(name) }),
  });

test('schemas are kept for others to read, within limits', async () => {
  const { ada, bob } = await pair();
  store(ada, 1, 'point', 10);
  expect(await ada.next('storeDataBlobResponse')).toMatchObject({ requestId: 1 });
  read(bob, 2, 'point', 'ada');
  expect((await bob.next('getDataBlobResponse')).blob!.contents).toHaveLength(10);
  for (const [name, identity] of [
    ['circle', 'ada'],
    ['point', 'nobody'],
  ]) {
    read(bob, 3, name!, identity!);
    expect(await bob.next('requestResponse')).toMatchObject({ requestId: 3, reason: Reason.NOT_FOUND });
  }
  store(ada, 4, 'empty', 0);
  expect(await ada.next('requestResponse')).toMatchObject({ requestId: 4, reason: Reason.INVALID_REQUEST });
  store(ada, 5, 'x'.repeat(300), 1);
  expect(await ada.next('requestResponse')).toMatchObject({ requestId: 5, reason: Reason.INVALID_REQUEST });
  store(ada, 6, 'large', limits.dataBlobsBytes.value);
  expect(await ada.next('requestResponse')).toMatchObject({ requestId: 6, reason: Reason.LIMIT_EXCEEDED });
});

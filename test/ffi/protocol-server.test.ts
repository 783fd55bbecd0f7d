import { RoomServiceClient } from 'livekit-server-sdk';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../support/parts.js';
import { House } from './house.js';
import { ProtocolRoom } from './protocol-room.js';

describeWith(['livekit-server'], "by bare requests, what the server's API changes", () => {
  const house = new House();
  const ours = new ProtocolRoom();
  let api: RoomServiceClient;
  beforeAll(async () => {
    const { httpUrl, apiKey, apiSecret } = house.server;
    api = new RoomServiceClient(httpUrl, apiKey, apiSecret);
    await ours.connect(house, 'ours');
  });
  afterAll(() => ours.ffi.dispose());

  test("is told: the room's metadata", async () => {
    await api.updateRoomMetadata(house.room, 'after hours');
    expect(await ours.waitFor('roomMetadataChanged')).toMatchObject({ metadata: 'after hours' });
    expect(await ours.waitFor('roomUpdated', ({ metadata }) => metadata === 'after hours')).toBeDefined();
  });

  test("is told: a participant's permissions", async () => {
    const permission = { canPublish: false, canSubscribe: true, canPublishData: true };
    await api.updateParticipant(house.room, 'ours', { permission });
    const changed = await ours.waitFor('participantPermissionChanged');
    expect(changed).toMatchObject({ participantIdentity: 'ours', permission: { canPublish: false } });
  });

  test('is told: data from the server, of no participant', async () => {
    const send = () =>
      api.sendData(house.room, new TextEncoder().encode('from the server'), 0, { topic: 'news' });
    // Servers drop data for a participant whose channel is not open yet.
    const again = setInterval(() => void send(), 300);
    const { participantIdentity, value } = await ours
      .waitFor('dataPacketReceived')
      .finally(() => clearInterval(again));
    expect(participantIdentity).toBe('');
    expect(value).toMatchObject({ case: 'user', value: { topic: 'news' } });
  });

  test('is told: how good the connection is', async () => {
    expect(await ours.waitFor('connectionQualityChanged')).toMatchObject({ participantIdentity: 'ours' });
  });

  test('is told: that the room was deleted', async () => {
    await api.deleteRoom(house.room);
    expect((await ours.waitFor('disconnected')).reason).toBe(5);
    await ours.waitFor('eos');
    expect(ours.ffi.open.size).toBe(0);
  });
});

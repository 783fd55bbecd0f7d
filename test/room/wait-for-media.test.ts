import { afterAll, beforeAll, expect, it } from 'vitest';
import { Room } from '../support/engine.js';
import { describeWith } from '../support/parts.js';
import { TcpRelay } from '../support/tcp-relay.js';
import { House } from './house.js';

describeWith(['livekit-server'], 'a connect that waits for media', () => {
  let house: House;
  let relay: TcpRelay;
  beforeAll(async () => {
    house = await House.open();
    relay = await TcpRelay.open(house.server.url);
  });
  afterAll(async () => {
    await house?.close();
    await relay?.close();
  });

  it('misses nothing of what is told meanwhile', async () => {
    const bob = await house.join('early', 'bob', { waitFor: 'media' });
    relay.muteClients();
    const joining = house.join('early', 'ada', { url: relay.url, waitFor: 'media' });
    await bob.event('participantConnected');
    const carol = await house.join('early', 'carol', { waitFor: 'media' });
    await carol.room.localParticipant.publishAudio(house.tone(440));
    relay.unmuteClients();
    const ada = await joining;
    await ada.event('trackSubscribed', ({ participantIdentity }) => participantIdentity === 'carol');
    expect([...ada.room.remoteParticipants.keys()].sort()).toEqual(['bob', 'carol']);
  });

  it('ends a publish that waits for it when it fails', async () => {
    const room = new Room({ name: 'eve' });
    const connecting = room
      .connect(house.server.url, await house.token('no media', 'eve'), {
        iceServers: [],
        iceTransportPolicy: 'relay',
        waitFor: 'media',
        deadlines: { ice: 500 },
      })
      .catch((error: unknown) => error);
    const isJoined = () => {
      try {
        return room.localParticipant.identity;
      } catch {
        return undefined;
      }
    };
    await expect.poll(isJoined).toBe('eve');
    const publishing = room.localParticipant.publishAudio(house.tone(440)).catch((error: unknown) => error);
    expect(await publishing).toBe(await connecting);
    expect(await connecting).toMatchObject({ code: 'OFFHOOK_DEADLINE', stage: 'ice' });
  });
});

import { afterAll, beforeAll, expect, it } from 'vitest';
import type { RemoteAudioTrack } from '../support/engine.js';
import { describeWith } from '../support/parts.js';
import { House } from './house.js';

const modes = ['one peer connection', 'two peer connections'];

describeWith(['livekit-server'], 'publishing', () => {
  let house: House;
  beforeAll(async () => {
    house = await House.open();
  });
  afterAll(() => house?.close());

  it('is done when the server has taken the track, though media is not up', async () => {
    // Without a TURN server there is no candidate.
    const ada = await house.join('early', 'ada', { iceTransportPolicy: 'relay' });
    const { sid } = await ada.room.localParticipant.publishAudio(house.tone(440));
    expect(ada.room.stats().publisher?.state).not.toBe('connected');
    await ada.event('localTrackPublished', ({ publication }) => publication.sid === sid);
  });

  it.each(modes)('with %s, is taken back at once, before anything was sent', async (mode) => {
    const singlePeerConnection = mode === modes[0];
    const ada = await house.join(mode, 'ada', { singlePeerConnection });
    const bob = await house.join(mode, 'bob');
    // The server may not have announced it at all.
    const nobodySees = () =>
      expect
        .poll(() => bob.room.remoteParticipants.get('ada')?.publications.size, { timeout: 5_000 })
        .toBe(0);
    for (let round = 0; round < 10; round++) {
      const { sid } = await ada.room.localParticipant.publishAudio(house.tone(440));
      await ada.room.localParticipant.unpublish(sid);
      await nobodySees();
    }
    expect(ada.room.localParticipant.publications.size).toBe(0);
    const { sid } = await ada.room.localParticipant.publishAudio(house.tone(440));
    await isHeard(bob.event('trackSubscribed', ({ publication }) => publication.sid === sid));
  });

  it('holds over a reconnect that comes before anything was sent', async () => {
    const ada = await house.join('lost', 'ada');
    const bob = await house.join('lost', 'bob');
    const { sid } = await ada.room.localParticipant.publishAudio(house.tone(440));
    ada.room.simulate('fullReconnect');
    const { publication } = await ada.event(
      'localTrackRepublished',
      ({ previousSid }) => previousSid === sid,
    );
    await isHeard(bob.event('trackSubscribed', (event) => event.publication.sid === publication.sid));
  });
});

async function isHeard(subscribed: Promise<{ track: unknown }>): Promise<void> {
  const track = (await subscribed).track as RemoteAudioTrack;
  for await (const { data } of track.frames({ sampleRate: 16_000, numChannels: 1 }))
    if (data.some((sample) => Math.abs(sample) > 1_000)) return;
  throw new Error('the track ended before it was heard');
}

import { afterAll, beforeAll, expect, it } from 'vitest';
import { RemoteAudioTrack, Room, TrackSource } from '../support/engine.js';
import { describeWith } from '../support/parts.js';
import { dominantFrequencyHz, goertzelPower } from '../support/tone.js';
import { House } from './house.js';

describeWith(['livekit-server'], 'a room on livekit-server', () => {
  let house: House;
  beforeAll(async () => {
    house = await House.open();
  });
  afterAll(() => house?.close());

  /** The next half second or so of a track, once it is audible. */
  async function hear(track: unknown): Promise<Int16Array> {
    const heard: Int16Array[] = [];
    for await (const { data } of (track as RemoteAudioTrack).frames({ sampleRate: 16_000, numChannels: 1 })) {
      if (heard.length > 0 || data.some((sample) => Math.abs(sample) > 500)) heard.push(data);
      if (heard.length === 60) break;
    }
    return Int16Array.from(heard.slice(10).flatMap((samples) => [...samples]));
  }

  it('is joined with who and what is there already, and told of what comes after', async () => {
    const carol = await house.join('joining', 'carol');
    const ada = await house.join('joining', 'ada');
    const publication = await ada.room.localParticipant.publishAudio(house.tone(440), { name: 'voice' });
    // The server lists a track from its first packet on.
    await carol.event('trackPublished');
    const bob = await house.join('joining', 'bob');
    expect(bob.room.info.name).toBe('joining');
    expect([...bob.room.remoteParticipants.keys()].sort()).toEqual(['ada', 'carol']);
    const remote = bob.room.remoteParticipants.get('ada')!;
    expect([...remote.publications.values()].map(({ name, sid }) => ({ name, sid }))).toEqual([
      { name: 'voice', sid: publication.sid },
    ]);
    const { participant } = await ada.event('participantConnected');
    expect(participant.identity).toBe('bob');
    expect(ada.told()[0]).toBe('localTrackPublished');
  });

  it('carries a tone to whoever subscribes, at the rate that was asked for', async () => {
    const ada = await house.join('tone', 'ada');
    await ada.room.localParticipant.publishAudio(house.tone(440));
    const bob = await house.join('tone', 'bob');
    const { track } = await bob.event('trackSubscribed');
    const samples = await hear(track);
    expect(dominantFrequencyHz({ samples, sampleRate: 16_000 })).toBeCloseTo(440, -1);
    await ada.event('localTrackSubscribed');
    expect(ada.told().indexOf('localTrackPublished')).toBeLessThan(
      ada.told().indexOf('localTrackSubscribed'),
    );
  });

  it('subscribes to nothing by itself when it is told not to, and then to what is chosen', async () => {
    const ada = await house.join('choosing', 'ada');
    await ada.room.localParticipant.publishAudio(house.tone(440), { name: 'first' });
    await ada.room.localParticipant.publishAudio(house.tone(880), {
      name: 'second',
      source: TrackSource.SCREEN_SHARE_AUDIO,
    });
    const bob = await house.join('choosing', 'bob', { autoSubscribe: false });
    const ofAda = bob.room.remoteParticipants.get('ada')!;
    await expect.poll(() => ofAda.publications.size).toBe(2);
    const publications = [...ofAda.publications.values()];
    const second = publications.find(({ name }) => name === 'second')!;
    expect(publications.map(({ isDesired }) => isDesired)).toEqual([false, false]);
    second.setSubscribed(true);
    const { publication, track } = await bob.event('trackSubscribed');
    expect(publication).toBe(second);
    const samples = await hear(track);
    const pcm = { samples, sampleRate: 16_000 };
    expect(goertzelPower(pcm, 880)).toBeGreaterThan(100 * goertzelPower(pcm, 440));
    second.setSubscribed(false);
    await bob.event('trackUnsubscribed');
    expect(second.track).toBeUndefined();
  });

  it('publishes several tracks at once, each heard as itself', async () => {
    const ada = await house.join('several', 'ada');
    const bob = await house.join('several', 'bob');
    const tones = [440, 660, 880];
    await Promise.all(
      tones.map((hz) => ada.room.localParticipant.publishAudio(house.tone(hz), { name: String(hz) })),
    );
    for (const hz of tones) {
      const { track } = await bob.event('trackSubscribed', (event) => event.publication.name === String(hz));
      const samples = await hear(track);
      // The tones are 220 Hz apart.
      expect(Math.abs(dominantFrequencyHz({ samples, sampleRate: 16_000 }) - hz)).toBeLessThan(20);
    }
  });

  it('mutes, unmutes and unpublishes for everybody', async () => {
    const ada = await house.join('muting', 'ada');
    const bob = await house.join('muting', 'bob');
    const publication = await ada.room.localParticipant.publishAudio(house.tone(440));
    await bob.event('trackSubscribed');
    publication.setMuted(true);
    await bob.event('trackMuted');
    publication.setMuted(false);
    await bob.event('trackUnmuted');
    await ada.room.localParticipant.unpublish(publication.sid);
    await bob.event('trackUnpublished');
    expect(bob.told().filter((type) => type.startsWith('track'))).toEqual([
      'trackPublished',
      'trackSubscribed',
      'trackMuted',
      'trackUnmuted',
      'trackUnsubscribed',
      'trackUnpublished',
    ]);
    const again = await ada.room.localParticipant.publishTrack(publication.track);
    const { track } = await bob.event('trackSubscribed', (event) => event.trackSid === again.sid);
    expect((await hear(track)).length).toBeGreaterThan(0);
  });

  it('tells names, metadata and attributes, and what the server refuses', async () => {
    const ada = await house.join('describing', 'ada');
    const bob = await house.join('describing', 'bob');
    await ada.room.localParticipant.setName('Ada L.');
    await ada.room.localParticipant.setMetadata('countess');
    await ada.room.localParticipant.setAttributes({ engine: 'analytical', year: '1843' });
    await ada.room.localParticipant.setAttributes({ year: '' });
    await bob.event('participantAttributesChanged', ({ attributes }) => attributes.year === undefined);
    const remote = bob.room.remoteParticipants.get('ada')!;
    expect([remote.name, remote.metadata, remote.attributes]).toEqual([
      'Ada L.',
      'countess',
      { engine: 'analytical' },
    ]);
    await expect(ada.room.localParticipant.setMetadata('x'.repeat(100_000))).rejects.toMatchObject({
      code: 'OFFHOOK_SERVER_REFUSED',
    });
  });

  it('lets only those hear a track who may', async () => {
    const ada = await house.join('permitting', 'ada');
    const { sid } = await ada.room.localParticipant.publishAudio(house.tone(440));
    ada.room.localParticipant.setTrackSubscriptionPermissions(false, [
      { participantIdentity: 'bob', trackSids: [sid] },
    ]);
    const carol = await house.join('permitting', 'carol');
    const bob = await house.join('permitting', 'bob');
    await bob.event('trackSubscribed');
    expect(carol.told()).not.toContain('trackSubscribed');
    ada.room.localParticipant.setTrackSubscriptionPermissions(true);
    await carol.event('trackSubscribed');
  });

  it('carries data, streams, calls, digits and chat', async () => {
    const ada = await house.join('data', 'ada');
    const bob = await house.join('data', 'bob');
    const { localParticipant } = ada.room;
    bob.room.localParticipant.registerRpcMethod('double', ({ payload }) => payload.repeat(2));
    expect(
      await localParticipant.performRpc({ destinationIdentity: 'bob', method: 'double', payload: 'ha' }),
    ).toBe('haha');
    await localParticipant.publishData(Buffer.from('to bob'), { topic: 't', destinationIdentities: ['bob'] });
    const { value, participantIdentity } = await bob.event('dataPacketReceived');
    expect([participantIdentity, value]).toMatchObject(['ada', { case: 'user', topic: 't' }]);
    const text = 'Grüße '.repeat(10_000);
    await localParticipant.sendText(text, { topic: 'chat' });
    const { reader } = await bob.event('textStreamOpened');
    expect(await reader.readAll()).toBe(text);
    await localParticipant.publishDtmf(5, '5');
    await bob.event('dataPacketReceived', (event) => event.value.case === 'sipDtmf');
    const chat = await localParticipant.sendChat('hello');
    await localParticipant.editChat(chat, 'hello again');
    const edited = await bob.event('chatMessage', ({ message }) => message.editTimestamp !== undefined);
    expect(edited.message).toMatchObject({ id: chat.id, message: 'hello again' });
  });

  it('keeps reliable packets in order, however many there are', async () => {
    const ada = await house.join('order', 'ada');
    const bob = await house.join('order', 'bob', { waitFor: 'media' });
    const count = 2_000;
    const payload = Buffer.alloc(1_000);
    const sends = Array.from({ length: count }, (_, i) => {
      payload.writeUInt32BE(i);
      return ada.room.localParticipant.publishData(Buffer.from(payload));
    });
    await Promise.all(sends);
    const numberOf = (event: { value: { payload?: Uint8Array } }) =>
      Buffer.from(event.value.payload!).readUInt32BE();
    await bob.event('dataPacketReceived', (event) => numberOf(event as never) === count - 1);
    const numbers = bob.events
      .filter(({ type }) => type === 'dataPacketReceived')
      .map((event) => numberOf(event as never));
    expect(numbers).toEqual(Array.from({ length: count }, (_, i) => i));
  });

  it('writes what it did into its timeline', async () => {
    const { room } = await house.join('timeline', 'ada', { waitFor: 'media' });
    const stages = room.timeline.spans.map(({ stage, outcome }) => `${stage} ${outcome}`);
    for (const stage of ['tcp', 'websocket', 'join', 'ice', 'dtls', 'data'])
      expect(stages).toContain(`${stage} ok`);
    expect(room.timeline.spans.find(({ stage }) => stage === 'ice')?.address).toMatch(
      /^127\.0\.0\.1:\d+\/udp$/,
    );
    const stats = room.stats();
    expect(stats.publisher?.state).toBe('connected');
    expect(stats.publisher?.pair?.remote.address).toBe('127.0.0.1');
  });

  it('can be left and joined again, and says what it is before that', async () => {
    const { room, events } = await house.join('again', 'ada');
    await room.disconnect();
    expect(events.slice(-3).map(({ type }) => type)).toEqual([
      'connectionStateChanged',
      'disconnected',
      'eos',
    ]);
    await expect(room.localParticipant.publishAudio(house.tone(440))).rejects.toMatchObject({
      code: 'OFFHOOK_CLOSED',
    });
    await room.connect(house.server.url, await house.token('again', 'ada'), { iceServers: [] });
    expect(room.connectionState).toBe('connected');
    await expect(room.connect(house.server.url, 'token')).rejects.toMatchObject({
      code: 'OFFHOOK_INVALID_REQUEST',
    });
    expect(() => new Room().info).toThrow(/has not been joined/);
  });

  it('tells nothing more after its end, though the program leaves on an event', async () => {
    const ada = await house.join('leaving', 'ada');
    const bob = await house.join('leaving', 'bob');
    await ada.event('participantConnected');
    const told: string[] = [];
    bob.room.onEvent = ({ type }) => {
      told.push(type);
      if (type === 'participantDisconnected') void bob.room.disconnect();
    };
    await ada.room.disconnect();
    await expect.poll(() => told, { timeout: 8_000 }).toContain('eos');
    await ada.event('eos');
    expect(told.slice(-4)).toEqual([
      'participantDisconnected',
      'connectionStateChanged',
      'disconnected',
      'eos',
    ]);
  });

  it('goes on when the program fails on an event', async () => {
    const ada = await house.join('failing', 'ada');
    ada.room.onEvent = () => {
      throw new Error('a mistake of the program');
    };
    const bob = await house.join('failing', 'bob');
    bob.room.localParticipant.registerRpcMethod('ping', () => 'pong');
    await bob.room.localParticipant.publishData(Buffer.from('x'));
    expect(
      await ada.room.localParticipant.performRpc({ destinationIdentity: 'bob', method: 'ping', payload: '' }),
    ).toBe('pong');
  });

  it('hears nothing of a track that is disabled, until it is enabled', async () => {
    const ada = await house.join('enabling', 'ada');
    await ada.room.localParticipant.publishAudio(house.tone(440));
    const bob = await house.join('enabling', 'bob');
    const { publication, track } = await bob.event('trackSubscribed');
    expect(track).toBeInstanceOf(RemoteAudioTrack);
    await hear(track);
    publication.setEnabled(false);
    const packets = () => (track as RemoteAudioTrack).stats().packetsReceived;
    // The server sends silence for a moment, so that the track does not break off in the middle of a sound.
    await expect
      .poll(
        async () => {
          const before = packets();
          await new Promise((resolve) => setTimeout(resolve, 400));
          return packets() - before;
        },
        { timeout: 8_000 },
      )
      .toBeLessThan(5);
    publication.setEnabled(true);
    await hear(track);
  });
});

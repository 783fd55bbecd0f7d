import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { RemoteAudioTrack } from '../support/engine.js';
import { startLivekitServer } from '../support/livekit-server.mjs';
import { describeWith } from '../support/parts.js';
import { TcpRelay } from '../support/tcp-relay.js';
import { type Guest, House } from './house.js';

/** Publishes numbered packets until it is stopped; resolves with how many there were. */
function count(guest: Guest): () => Promise<number> {
  let sent = 0;
  const sends: Promise<void>[] = [];
  const timer = setInterval(() => {
    const payload = Buffer.alloc(4);
    payload.writeUInt32BE(sent);
    sent++;
    sends.push(guest.room.localParticipant.publishData(payload));
  }, 10);
  return async () => {
    clearInterval(timer);
    await Promise.all(sends);
    return sent;
  };
}

function numbersReceived({ events }: Guest): number[] {
  return events.flatMap((event) =>
    event.type === 'dataPacketReceived' && event.value.case === 'user'
      ? [Buffer.from(event.value.payload).readUInt32BE()]
      : [],
  );
}

/** Resolves when a stream of the track, opened once, brings sound after `since`. */
function ear(track: RemoteAudioTrack) {
  let heardMs = 0;
  let ended = false;
  track.openStream({
    sampleRate: 16_000,
    numChannels: 1,
    onFrame: ({ data }) => {
      if (data.some((sample) => Math.abs(sample) > 1_000)) heardMs = performance.now();
    },
    onEnd: () => {
      ended = true;
    },
  });
  return {
    hears: async () => {
      const sinceMs = performance.now();
      await expect.poll(() => heardMs > sinceMs, { timeout: 8_000 }).toBe(true);
    },
    hasEnded: () => ended,
  };
}

describeWith(['livekit-server'], 'a room whose connection is lost', () => {
  let house: House;
  let relay: TcpRelay;
  let room = 0;
  beforeAll(async () => {
    house = await House.open();
  });
  afterAll(() => house?.close());
  beforeEach(async () => {
    relay = await TcpRelay.open(house.server.url);
    room++;
  });
  afterEach(() => relay.close());

  /** Two guests who hear each other; what ada says to the server goes through the relay. */
  async function call() {
    const name = `call ${room}`;
    const ada = await house.join(name, 'ada', { url: relay.url, waitFor: 'media' });
    const bob = await house.join(name, 'bob', { waitFor: 'media' });
    const publication = await ada.room.localParticipant.publishAudio(house.tone(440));
    await bob.room.localParticipant.publishAudio(house.tone(660));
    const byAda = ear((await ada.event('trackSubscribed')).track as RemoteAudioTrack);
    const byBob = ear((await bob.event('trackSubscribed')).track as RemoteAudioTrack);
    await Promise.all([byAda.hears(), byBob.hears()]);
    return { ada, bob, byAda, byBob, publication };
  }

  it('resumes when its signal connection is cut: nothing ends, and no data is lost or doubled', async () => {
    const { ada, bob, byAda, byBob, publication } = await call();
    const { sid } = publication;
    const stopAda = count(ada);
    const stopBob = count(bob);
    relay.cut();
    await ada.event('reconnected');
    await Promise.all([byAda.hears(), byBob.hears()]);
    const [ofAda, ofBob] = await Promise.all([stopAda(), stopBob()]);
    await expect.poll(() => numbersReceived(bob).length, { timeout: 8_000 }).toBe(ofAda);
    await expect.poll(() => numbersReceived(ada).length, { timeout: 8_000 }).toBe(ofBob);
    expect(numbersReceived(bob)).toEqual(Array.from({ length: ofAda }, (_, i) => i));
    expect(numbersReceived(ada)).toEqual(Array.from({ length: ofBob }, (_, i) => i));
    expect(publication.sid).toBe(sid);
    expect([byAda.hasEnded(), byBob.hasEnded()]).toEqual([false, false]);
    expect(ada.told().filter((type) => /reconnect|State|Disconnected|Unsub|Unpub|Republ/.test(type))).toEqual(
      ['connectionStateChanged', 'reconnecting', 'connectionStateChanged', 'reconnected'],
    );
    expect(bob.told()).not.toContain('participantDisconnected');
  });

  it('loses its connection again on the event that it is back, and does then what was begun before', async () => {
    const { ada } = await call();
    const { onEvent } = ada.room;
    let restored = 0;
    let publishing: Promise<unknown> | undefined;
    ada.room.onEvent = (event) => {
      onEvent(event);
      if (event.type === 'reconnecting')
        publishing ??= ada.room.localParticipant.publishAudio(house.tone(880), { name: 'begun meanwhile' });
      if (event.type === 'reconnected' && ++restored === 1) ada.room.simulate('signalReconnect');
    };
    relay.cut();
    await expect.poll(() => restored, { timeout: 8_000 }).toBe(2);
    await expect(publishing).resolves.toMatchObject({ name: 'begun meanwhile' });
  });

  it('resumes when the network is back, and what was begun meanwhile is done then', async () => {
    const { ada, bob } = await call();
    relay.goAway();
    await ada.event('reconnecting');
    const publishing = ada.room.localParticipant.publishAudio(house.tone(880), { name: 'begun meanwhile' });
    const naming = ada.room.localParticipant.setName('Ada, still');
    setTimeout(() => relay.back(), 700);
    await ada.event('reconnected');
    await Promise.all([publishing, naming]);
    await bob.event('trackSubscribed', ({ publication }) => publication.name === 'begun meanwhile');
    expect(bob.told()).not.toContain('participantDisconnected');
  });

  it('reconnects under the same handles when the session is over', async () => {
    const { ada, bob, byAda, publication } = await call();
    const { sid } = publication;
    ada.room.simulate('fullReconnect');
    await ada.event('reconnected');
    expect(publication.sid).not.toBe(sid);
    expect([...ada.room.localParticipant.publications]).toEqual([[publication.sid, publication]]);
    await byAda.hears();
    expect(byAda.hasEnded()).toBe(false);
    expect(
      ada.told().filter((type) => /reconnect|State|articipantDis|Unsub|Unpub|Republ/.test(type)),
    ).toEqual([
      'connectionStateChanged',
      'reconnecting',
      'localTrackRepublished',
      'connectionStateChanged',
      'reconnected',
    ]);
    const { track } = await bob.event('trackSubscribed', (event) => event.trackSid === publication.sid);
    await ear(track as RemoteAudioTrack).hears();
  });

  it('tells who left and who came while it was away', async () => {
    const { ada, bob } = await call();
    relay.goAway();
    await ada.event('reconnecting');
    await bob.room.disconnect();
    await house.join(`call ${room}`, 'carol');
    relay.back();
    await ada.event('participantDisconnected', ({ participantIdentity }) => participantIdentity === 'bob');
    await ada.event('participantConnected', ({ participantIdentity }) => participantIdentity === 'carol');
    expect([...ada.room.remoteParticipants.keys()]).toEqual(['carol']);
  });

  it('keeps who came while the media of its new session was coming up', async () => {
    const { ada } = await call();
    const joins = () =>
      ada.room.timeline.spans.filter(({ stage, outcome }) => stage === 'join' && outcome === 'ok');
    relay.muteClients();
    ada.room.simulate('fullReconnect');
    await expect.poll(() => joins().length, { timeout: 8_000 }).toBe(2);
    const carol = await house.join(`call ${room}`, 'carol', { waitFor: 'media' });
    await carol.room.localParticipant.publishAudio(house.tone(880));
    await ada.event('trackPublished', ({ participantIdentity }) => participantIdentity === 'carol');
    relay.unmuteClients();
    const { track } = await ada.event(
      'trackSubscribed',
      ({ participantIdentity }) => participantIdentity === 'carol',
    );
    await ada.event('reconnected');
    await ear(track as RemoteAudioTrack).hears();
    expect([...ada.room.remoteParticipants.keys()].sort()).toEqual(['bob', 'carol']);
    expect(ada.told()).not.toContain('participantDisconnected');
  });

  it('keeps reliable packets for those who lost the same server, until they are back', async () => {
    const server = await startLivekitServer();
    const relays = await Promise.all([TcpRelay.open(server.url), TcpRelay.open(server.url)]);
    const [ofAda, ofBob] = relays;
    // They try again often, so that both are back soon after they can be.
    const eager = { waitFor: 'media', random: () => 0.05, maxReconnectAttempts: 1_000 } as const;
    const ada = await house.join('moving', 'ada', { url: ofAda.url, ...eager });
    const bob = await house.join('moving', 'bob', { url: ofBob.url, ...eager });
    await ada.event('participantActive');
    const interrupted = Promise.all([ada.event('reconnecting'), bob.event('reconnecting')]);
    for (const relay of relays) {
      relay.goAway();
      relay.leadTo(house.server.url);
    }
    await server.stop();
    await interrupted;
    const stop = count(ada);
    ofAda.back();
    await ada.event('reconnected');
    ofBob.back();
    await bob.event('reconnected');
    const sent = await stop();
    await expect.poll(() => numbersReceived(bob).length, { timeout: 8_000 }).toBe(sent);
    expect(numbersReceived(bob)).toEqual(Array.from({ length: sent }, (_, i) => i));
    await Promise.all([ada, bob].map(({ room }) => room.disconnect()));
    await Promise.all(relays.map((relay) => relay.close()));
  });

  it('gives up after its attempts, and says at which stage', async () => {
    const ada = await house.join(`call ${room}`, 'ada', {
      url: relay.url,
      waitFor: 'media',
      maxReconnectAttempts: 3,
    });
    const publishing = ada
      .event('reconnecting')
      .then(() => ada.room.localParticipant.publishAudio(house.tone(440)).catch((error) => error.code));
    relay.goAway();
    const { message } = await ada.event('disconnected');
    expect(message).toMatch(/stage (tcp|websocket)/);
    expect(await publishing).toBe('OFFHOOK_CLOSED');
    expect(ada.told().slice(-3)).toEqual(['connectionStateChanged', 'disconnected', 'eos']);
    expect(ada.room.connectionState).toBe('disconnected');
  });

  it('ends when somebody joins under its identity', async () => {
    const name = `call ${room}`;
    const first = await house.join(name, 'ada');
    const second = await house.join(name, 'ada');
    const { message } = await first.event('disconnected');
    expect(message).toContain('DUPLICATE_IDENTITY');
    await expect.poll(() => second.room.connectionState, { timeout: 8_000 }).toBe('connected');
    expect(second.told()).not.toContain('disconnected');
  });

  it('ends when somebody joined under its identity while it was away', async () => {
    const name = `call ${room}`;
    const first = await house.join(name, 'ada', { url: relay.url });
    relay.goAway();
    await first.event('reconnecting');
    const second = await house.join(name, 'ada');
    relay.back();
    const { message } = await first.event('disconnected');
    expect(message).toContain('DUPLICATE_IDENTITY');
    await expect.poll(() => second.room.connectionState, { timeout: 8_000 }).toBe('connected');
    expect(second.told()).not.toContain('disconnected');
  });

  it('reconnects when the server asks it to leave and come again', async () => {
    const { ada, byAda } = await call();
    ada.room.simulate('migration');
    await ada.event('reconnected').catch(() => ada.event('disconnected'));
    expect(ada.room.connectionState).toBe('connected');
    await byAda.hears();
  });
});

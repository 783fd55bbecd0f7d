import { AddTrackRequest, SessionDescription, TrackType } from '@livekit/protocol';
import { afterAll, afterEach, beforeAll, expect, onTestFinished, test } from 'vitest';
import { type RoomServer, startServer } from '../../src/server/index.js';
import { dataSection, PeerConnection } from '../../src/transport/index.js';
import { describeWith } from '../support/parts.js';
import { type Program, startParticipant } from '../support/program.mjs';
import { TcpRelay } from '../support/tcp-relay.js';
import { audioOffer, SignalPeer, signToken } from './signal-peer.js';

let server: RoomServer;

beforeAll(async () => {
  server = await startServer({ port: 0, resumeWindowMs: 400 });
});
afterAll(() => server.close());

test('a participant that lost its socket goes on with its session', async () => {
  const watcher = await SignalPeer.join(server.url, 'resume', 'watcher');
  const lost = await SignalPeer.join(server.url, 'resume', 'ada');
  const sid = lost.join?.participant?.sid ?? '';
  lost.drop();
  await lost.closed;
  const token = await signToken('ada', { roomJoin: true, room: 'resume' });
  const resumed = await SignalPeer.open(server.url, token, { reconnect: '1', sid });
  expect(await resumed.next('reconnect')).toMatchObject({ lastMessageSeq: 0 });
  const { participants } = await resumed.next('update');
  expect(participants.map(({ identity }) => identity)).toEqual(expect.arrayContaining(['ada', 'watcher']));
  resumed.send({ case: 'leave', value: undefined as never });
  const gone = await watcher.until('update', (update) => update.participants[0]?.state === 3);
  expect(gone.participants[0]).toMatchObject({ sid, identity: 'ada' });
  watcher.close();
});

test('one that does not come back in time has left', async () => {
  const watcher = await SignalPeer.join(server.url, 'late', 'watcher');
  const lost = await SignalPeer.join(server.url, 'late', 'ada');
  lost.drop();
  const { participants } = await watcher.until('update', (update) => update.participants[0]?.state === 3);
  expect(participants[0]).toMatchObject({ identity: 'ada', disconnectReason: 9 });
  const token = await signToken('ada', { roomJoin: true, room: 'late' });
  const tooLate = await SignalPeer.open(server.url, token, {
    reconnect: '1',
    sid: lost.join?.participant?.sid ?? '',
  });
  // RECONNECT: begin anew.
  expect(await tooLate.next('leave')).toMatchObject({ action: 2 });
  await tooLate.closed;
  watcher.close();
});

test('one that gave up before it was let in does not stay for the whole time', async () => {
  const patient = await startServer({ port: 0, resumeWindowMs: 60_000 });
  const watcher = await SignalPeer.join(patient.url, 'given up', 'watcher');
  const silent = await SignalPeer.join(patient.url, 'given up', 'silent');
  const heard = await SignalPeer.join(patient.url, 'given up', 'heard');
  await heard.settled();
  silent.drop();
  heard.drop();
  const { participants } = await watcher.until('update', (update) => update.participants[0]?.state === 3);
  expect(participants[0]).toMatchObject({ identity: 'silent', disconnectReason: 9 });
  const token = await signToken('heard', { roomJoin: true, room: 'given up' });
  const sid = heard.join?.participant?.sid ?? '';
  const resumed = await SignalPeer.open(patient.url, token, { reconnect: '1', sid });
  await resumed.next('reconnect');
  resumed.close();
  watcher.close();
  await patient.close();
});

test('one that is lost again has the whole time again', async () => {
  const windowMs = 1_500;
  const patient = await startServer({ port: 0, resumeWindowMs: windowMs });
  onTestFinished(() => patient.close());
  const watcher = await SignalPeer.join(patient.url, 'twice', 'watcher');
  let peer = await SignalPeer.join(patient.url, 'twice', 'ada');
  await peer.settled();
  const sid = peer.join?.participant?.sid ?? '';
  const token = await signToken('ada', { roomJoin: true, room: 'twice' });
  // Together longer than the window, each time shorter.
  for (let i = 0; i < 2; i++) {
    peer.drop();
    await peer.closed;
    await new Promise((resolve) => setTimeout(resolve, 0.6 * windowMs));
    peer = await SignalPeer.open(patient.url, token, { reconnect: '1', sid });
    await peer.next('reconnect');
  }
  await peer.settled();
  peer.send({ case: 'leave', value: {} as never });
  // The watcher hears of its end once: that it has left, not that it was given up before.
  const { participants } = await watcher.until('update', (update) => update.participants[0]?.state === 3);
  expect(participants[0]).toMatchObject({ identity: 'ada', disconnectReason: 1 });
  watcher.close();
});

/** A participant whose connection is up. */
async function connectedPeer(room: string): Promise<{ peer: SignalPeer; connection: PeerConnection }> {
  const peer = await SignalPeer.join(server.url, room, 'ada');
  const connection = new PeerConnection({
    name: 'ada',
    bindAddress: '127.0.0.1',
    protocols: ['udp'],
  });
  peer.send({ case: 'offer', value: { type: 'offer', sdp: connection.offer([dataSection('0')]) } as never });
  connection.acceptAnswer((await peer.next('answer')).sdp);
  await expect.poll(() => connection.state).toBe('connected');
  return { peer, connection };
}

test('one whose connection has ended and that leaves then has left at once', async () => {
  const watcher = await SignalPeer.join(server.url, 'leaving', 'watcher');
  const { peer, connection } = await connectedPeer('leaving');
  connection.close();
  for (let i = 0; i < 5; i++) {
    peer.send({ case: 'ping', value: 1n });
    await peer.next('pong');
  }
  peer.send({ case: 'leave', value: undefined as never });
  const gone = await watcher.until('update', (update) => update.participants[0]?.state === 3);
  // CLIENT_INITIATED
  expect(gone.participants[0]).toMatchObject({ identity: 'ada', disconnectReason: 1 });
  watcher.close();
});

test('one whose connection has ended is told to join anew, and cannot resume', async () => {
  const watcher = await SignalPeer.join(server.url, 'ended', 'watcher');
  const { peer, connection } = await connectedPeer('ended');
  connection.close();
  // RECONNECT, CONNECTION_TIMEOUT
  expect(await peer.next('leave')).toMatchObject({ action: 2, reason: 14 });
  await peer.closed;
  const token = await signToken('ada', { roomJoin: true, room: 'ended' });
  const sid = peer.join?.participant?.sid ?? '';
  const resumed = await SignalPeer.open(server.url, token, { reconnect: '1', sid });
  expect(await resumed.next('leave')).toMatchObject({ action: 2 });
  // It does not join anew: others see it leave.
  await watcher.until('update', (update) => update.participants[0]?.state === 3);
  watcher.close();
});

test('an ICE restart is answered with new credentials, and an offer without one with the same', async () => {
  const peer = await SignalPeer.join(server.url, 'restart', 'ada');
  await peer.publish({ cid: 'c' });
  const ufrags: string[] = [];
  for (const ufrag of ['new1', 'new1', 'new2']) {
    peer.send({ case: 'offer', value: { type: 'offer', sdp: audioOffer('c', { ufrag }) } as never });
    const { sdp } = await peer.next('answer');
    ufrags.push(/a=ice-ufrag:(\S+)/.exec(sdp)![1]!);
  }
  expect(ufrags[1]).toBe(ufrags[0]);
  expect(ufrags[2]).not.toBe(ufrags[0]);
  peer.close();
});

test('a track whose answer was lost keeps its sid when the client asks again, and is another when published anew', async () => {
  const room = 'asked again';
  let peer = await SignalPeer.join(server.url, room, 'ada');
  const sid = peer.join?.participant?.sid ?? '';
  const add = new AddTrackRequest({ cid: 'microphone', type: TrackType.AUDIO });
  const publishedSid = async () => {
    peer.send({ case: 'addTrack', value: add });
    return (await peer.next('trackPublished')).track?.sid;
  };
  const first = await publishedSid();
  peer.send({
    case: 'offer',
    value: new SessionDescription({ type: 'offer', sdp: audioOffer('microphone') }),
  });
  await peer.next('answer');
  peer.drop();
  await peer.closed;
  const token = await signToken('ada', { roomJoin: true, room });
  peer = await SignalPeer.open(server.url, token, { reconnect: '1', sid });
  await peer.next('reconnect');
  expect(await publishedSid()).toBe(first);
  expect(await publishedSid()).not.toBe(first);
  peer.close();
});

describeWith(['native engine'], 'a participant on the native engine whose signalling is cut', () => {
  let programs: Program[] = [];
  let relay: TcpRelay;

  afterEach(async () => {
    await Promise.all(programs.splice(0).map((program) => program.stop()));
    await relay.close();
  });

  test('resumes, stays audible, and can publish more', async () => {
    relay = await TcpRelay.open(server.url);
    const [ada, bob] = [startParticipant('native'), startParticipant('native')] as [Program, Program];
    programs = [ada, bob];
    const grant = { roomJoin: true, room: 'cut' };
    await ada.call('connect', { url: relay.url, token: await signToken('ada', grant) });
    await bob.call('connect', { url: server.url, token: await signToken('bob', grant) });
    const first = await ada.call<{ sid: string }>('publishTone', { hz: 440 });
    await bob.waitFor('firstAudible', { identity: 'ada' });
    relay.cut();
    await ada.waitFor('reconnected');
    const second = await ada.call<{ sid: string }>('publishTone', { name: 'second', hz: 880 });
    await bob.waitFor('trackSubscribed', { sid: second.sid });
    expect(bob.events.some(({ event, sid }) => event === 'trackUnpublished' && sid === first.sid)).toBe(
      false,
    );
    expect(bob.events.some(({ event }) => event === 'participantDisconnected')).toBe(false);
  });
});

describeWith(['native engine'], 'a publisher', () => {
  let programs: Program[] = [];
  let relay: TcpRelay;
  let patient: RoomServer;

  beforeAll(async () => {
    patient = await startServer({ port: 0 });
    relay = await TcpRelay.open(patient.url);
  });
  afterEach(() => Promise.all(programs.splice(0).map((program) => program.stop())));
  afterAll(async () => {
    await relay.close();
    await patient.close();
  });

  test('is not told that its track is subscribed while its own media is not up: what it said then would be lost', async () => {
    const room = 'told too early';
    const publisher = await SignalPeer.join(patient.url, room, 'publisher');
    const sid = await publisher.publish({ cid: 'microphone', type: TrackType.AUDIO });
    const bob = startParticipant('native');
    programs = [bob];
    const grant = { roomJoin: true, room, canUpdateOwnMetadata: true };
    await bob.call('connect', { url: patient.url, token: await signToken('bob', grant) });
    await bob.waitFor('trackSubscribed', { sid });
    // Answered after what Bob has accepted the track with.
    await bob.call('setAttributes', { attributes: { accepted: 'yes' } });
    await publisher.settled();
    expect(publisher.has('trackSubscribed')).toBe(false);
    publisher.close();
  });

  /** Agents of LiveKit's frameworks are silent until they are told. */
  test('is told after a resume that its track is subscribed, which it has missed, and once', async () => {
    const [ada, bob] = [startParticipant('offhook'), startParticipant('native')] as [Program, Program];
    programs = [ada, bob];
    const grant = { roomJoin: true, room: 'missed' };
    await ada.call('connect', { url: relay.url, token: await signToken('ada', grant) });
    await ada.call('publishTone', { hz: 440 });
    relay.loseAnswers();
    await bob.call('connect', { url: patient.url, token: await signToken('bob', grant) });
    await bob.waitFor('firstAudible', { identity: 'ada' });
    const tellings = () => ada.events.filter(({ event }) => event === 'localTrackSubscribed').length;
    expect(tellings()).toBe(0);
    relay.cut();
    await ada.waitFor('reconnected');
    await ada.waitFor('localTrackSubscribed');
    await ada.call('publishTone', { name: 'second', hz: 880 });
    await expect.poll(tellings, { timeout: 10_000 }).toBe(2);
  });
});

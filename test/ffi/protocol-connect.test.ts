import { EncryptionType } from '@livekit/rtc-ffi-bindings/proto/e2ee_pb.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../support/parts.js';
import type { Program } from '../support/program.mjs';
import { makeToken } from '../support/token.mjs';
import { House } from './house.js';
import { InProcess } from './in-process.js';
import { ProtocolRoom } from './protocol-room.js';

describeWith(['livekit-server', 'native engine'], 'by bare requests, a connect', () => {
  const house = new House();
  const ours = new ProtocolRoom();
  let native: Program;
  beforeAll(async () => {
    native = await house.join('native', 'native');
    await native.call('publishSilence');
    await ours.connect(house, 'ours', { ready: false });
  });
  afterAll(() => ours.ffi.dispose());

  test('is answered by one callback, with who is there and what they publish', () => {
    const callbacks = ours.ffi.events.filter(({ case: name }) => name === 'connect');
    expect(callbacks).toHaveLength(1);
    expect([...ours.participants.keys()]).toEqual(['native']);
    expect(ours.local.info!.identity).toBe('ours');
  });

  test('holds the events of the room until the program is ready, and loses none', async () => {
    await native.call('publishData', { content: 'early' });
    await house.join('native', 'late');
    await native.waitFor('participantConnected', { identity: 'late' });
    expect(ours.eventNames).toEqual([]);
    ours.ready();
    expect(ours.eventNames.slice(0, 2)).toEqual(['roomSidChanged', 'connectionStateChanged']);
    await ours.waitFor('participantConnected', ({ info }) => info!.info!.identity === 'late');
    await ours.waitFor('dataPacketReceived');
    await ours.waitFor('trackSubscribed');
    expect(ours.eventNames.filter((name) => name === 'participantConnected')).toHaveLength(1);
  });

  test('is left by a disconnect: the end of the events, then the callback, and nothing keeps the program', async () => {
    const { ffi, roomHandle } = ours;
    const { asyncId } = ffi.request({ case: 'disconnect', value: { roomHandle } });
    await ffi.waitFor('disconnect', (value) => value.asyncId === asyncId);
    expect(ours.eventNames.at(-1)).toBe('eos');
    expect(ffi.open.size).toBe(0);
  });

  test.each([
    ['one', {}],
    ['two', { singlePeerConnection: false }],
  ])('with %s peer connections is left as such should the engine be lost', async (count, options) => {
    const room = new ProtocolRoom();
    await room.connect(house, `left-${count}`, { options });
    const isSingle = count === 'one';
    const participantSid = room.local.info!.sid!;
    const sessions = () => room.ffi.sessions.map(({ session }) => session);
    await expect.poll(() => sessions().at(-1)).toMatchObject({ participantSid, isSingle });
    expect(sessions()[0]).toMatchObject({ participantSid: '', isSingle });
    await room.ffi.dispose();
  });

  test('is abandoned by dispose while it is under way', async () => {
    const ffi = new InProcess();
    const token = await makeToken(house.server, house.room, 'nobody');
    const { asyncId } = ffi.request({
      case: 'connect',
      value: { url: house.server.url, token, options: {} },
    });
    await ffi.dispose();
    const { message } = await ffi.waitFor('connect', (value) => value.asyncId === asyncId);
    expect(message.case).toBe('error');
    expect(ffi.open.size).toBe(0);
  });

  test('with an unknown kind of encryption is refused, not made without encryption', async () => {
    const ffi = new InProcess();
    const token = await makeToken(house.server, house.room, 'secret');
    const keyProviderOptions = {
      ratchetWindowSize: 0,
      ratchetSalt: new Uint8Array(1),
      failureTolerance: 0,
      keyRingSize: 1,
      keyDerivationFunction: 0,
    };
    const encryption = { encryptionType: EncryptionType.CUSTOM, keyProviderOptions };
    ffi.request({ case: 'connect', value: { url: house.server.url, token, options: { encryption } } });
    const { message } = await ffi.waitFor('connect');
    expect(message).toMatchObject({ case: 'error', value: expect.stringContaining('encryption') });
  });
});

import {
  EncryptionState,
  EncryptionType,
  KeyDerivationFunction,
} from '@livekit/rtc-ffi-bindings/proto/e2ee_pb.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startServer } from '../../src/server/index.js';
import { startLivekitServer } from '../support/livekit-server.mjs';
import { describeWith } from '../support/parts.js';
import { type Engine, type Program, startParticipant } from '../support/program.mjs';
import { makeToken } from '../support/token.mjs';
import { dominantFrequencyHz } from '../support/tone.js';
import { until } from '../support/until.js';
import { ProtocolRoom } from './protocol-room.js';

const room = 'encrypted';
const sharedKey = 'the key of the room';

interface Server {
  url: string;
  apiKey: string;
  apiSecret: string;
}

/** What the participants of a test need, and what ends them. */
class Cast {
  server!: Server;
  readonly room = room;
  readonly #programs: Program[] = [];

  async join(engine: Engine, identity: string, key = sharedKey): Promise<Program> {
    const program = startParticipant(engine);
    this.#programs.push(program);
    const token = await makeToken(this.server, room, identity);
    await program.call('connect', { url: this.server.url, token, sharedKey: key });
    return program;
  }

  async leave(): Promise<void> {
    await Promise.all(this.#programs.map((program) => program.stop()));
  }
}

async function startOwnServer(): Promise<Server & { stop(): Promise<void> }> {
  const server = await startServer({ port: 0 });
  return { url: server.url, apiKey: 'devkey', apiSecret: 'secret', stop: () => server.close() };
}

const servers = { 'livekit-server': startLivekitServer, 'the room server': startOwnServer };

const withKey = (key: string, derivation = KeyDerivationFunction.PBKDF2) => ({
  encryption: {
    encryptionType: EncryptionType.GCM,
    keyProviderOptions: {
      sharedKey: Buffer.from(key),
      ratchetWindowSize: 16,
      ratchetSalt: Buffer.from('LKFrameEncryptionKey'),
      failureTolerance: -1,
      keyRingSize: 16,
      keyDerivationFunction: derivation,
    },
  },
});

for (const [name, start] of Object.entries(servers)) {
  describeWith(['livekit-server', 'native engine'], `encryption between the engines through ${name}`, () => {
    const cast = new Cast();
    let stopServer: () => Promise<unknown>;
    let ours: Program;
    let native: Program;

    beforeAll(async () => {
      const server = await start();
      cast.server = server;
      stopServer = () => server.stop();
      [native, ours] = [await cast.join('native', 'native'), await cast.join('offhook', 'ours')];
    });
    afterAll(async () => {
      await cast.leave();
      await stopServer?.();
    });

    const pairs = () =>
      [
        [ours, native, 'ours', 440],
        [native, ours, 'native', 660],
      ] as const;

    test('is heard with the key', async () => {
      for (const [speaker, , , hz] of pairs()) await speaker.call('publishTone', { hz });
      for (const [, listener, identity, hz] of pairs()) {
        await listener.waitFor('firstAudible', { identity });
        await listener.takeHeard(identity);
        await new Promise((resolve) => setTimeout(resolve, 1_000));
        const heard = await listener.takeHeard(identity);
        expect(Math.abs(dominantFrequencyHz(heard) - hz)).toBeLessThanOrEqual(5);
      }
    });

    test('keeps data, texts and calls readable with the key, in order', async () => {
      for (const [sender, receiver, identity] of pairs()) {
        await receiver.call('receiveText', { topic: `to-${identity}` });
        await sender.call('publishData', { text: 'data', topic: 'encrypted' });
        await receiver.waitFor('dataReceived', { text: 'data', identity });
        await sender.call('sendText', { text: 'ä'.repeat(40_000), topic: `to-${identity}` });
        await receiver.waitFor('text', { identity, text: 'ä'.repeat(40_000) });
        const to = identity === 'ours' ? 'native' : 'ours';
        expect(await sender.call('rpc', { to, payload: 'ping' })).toMatchObject({ value: 'ping' });
      }
    });

    test('is silence and a state, never noise, with another key', async () => {
      const stranger = new ProtocolRoom();
      await stranger.connect(cast, 'stranger', { options: withKey('another key') });
      for (const identity of ['native', 'ours']) {
        await stranger.waitFor(
          'e2eeStateChanged',
          ({ participantIdentity, state }) =>
            participantIdentity === identity && state === EncryptionState.DECRYPTION_FAILED,
        );
        const { track } = await stranger.waitFor(
          'trackSubscribed',
          ({ participantIdentity }) => participantIdentity === identity,
        );
        const { ffi } = stranger;
        const { stream } = ffi.request({
          case: 'newAudioStream',
          value: { trackHandle: track!.handle!.id!, type: 0, sampleRate: 48_000, numChannels: 1 },
        })!;
        const streamHandle = stream!.handle!.id!;
        const framesOf = () =>
          ffi.events.flatMap(({ case: event, value }) =>
            event === 'audioStreamEvent' &&
            value.streamHandle === streamHandle &&
            value.message.case === 'frameReceived'
              ? [value.message.value.frame!.info!.dataPtr!]
              : [],
          );
        await until('a second of frames', () => framesOf().length > 100);
        const samples = framesOf().flatMap((address) => [...(ffi.lent.get(address) ?? [])]);
        expect(samples.length).toBeGreaterThan(0);
        expect(samples.every((sample) => sample === 0)).toBe(true);
      }
      for (const [sender] of pairs()) await sender.call('publishData', { text: 'secret', topic: 'x' });
      await until(
        'data of both is refused',
        () => stranger.eventNames.filter((event) => event === 'e2eeStateChanged').length >= 4,
      );
      expect(stranger.eventNames).not.toContain('dataPacketReceived');
      await stranger.ffi.dispose();
    });
  });
}

describe('requests of end-to-end encryption', () => {
  const cast = new Cast();
  const member = new ProtocolRoom();
  const open = new ProtocolRoom();
  let server: Awaited<ReturnType<typeof startOwnServer>>;

  beforeAll(async () => {
    server = await startOwnServer();
    cast.server = server;
    await member.connect(cast, 'member', {
      options: withKey('first', KeyDerivationFunction.HKDF),
    });
    await open.connect(cast, 'open');
  });
  afterAll(async () => {
    await member.ffi.dispose();
    await open.ffi.dispose();
    await server?.stop();
  });

  type Message = NonNullable<Parameters<typeof ask>[1]>;
  function ask(asked: ProtocolRoom, message: Record<string, unknown> & { case: string; value: object }) {
    const value = { roomHandle: asked.roomHandle, message };
    return asked.ffi.request({ case: 'e2ee', value } as never) as unknown as
      | { message: { case: string; value: Record<string, unknown> } }
      | undefined;
  }
  const answer = (message: Message) => ask(member, message)?.message.value;

  test('read, set and ratchet the shared key', () => {
    const text = (key: unknown) => Buffer.from(key as Uint8Array).toString();
    expect(text(answer({ case: 'getSharedKey', value: { keyIndex: 0 } })?.key)).toBe('first');
    answer({ case: 'setSharedKey', value: { sharedKey: Buffer.from('second'), keyIndex: 1 } });
    expect(text(answer({ case: 'getSharedKey', value: { keyIndex: 1 } })?.key)).toBe('second');
    const next = answer({ case: 'ratchetSharedKey', value: { keyIndex: 1 } })?.newKey as Uint8Array;
    expect(next).toHaveLength(32);
    expect(answer({ case: 'getSharedKey', value: { keyIndex: 1 } })?.key).toEqual(next);
  });

  test('read, set and ratchet the key of a participant', () => {
    const participantIdentity = 'somebody';
    answer({ case: 'setKey', value: { participantIdentity, key: Buffer.from('own'), keyIndex: 2 } });
    const { key } = answer({ case: 'getKey', value: { participantIdentity, keyIndex: 2 } }) ?? {};
    expect(Buffer.from(key as Uint8Array).toString()).toBe('own');
    const { newKey } = answer({ case: 'ratchetKey', value: { participantIdentity, keyIndex: 2 } }) ?? {};
    expect(newKey).not.toEqual(key);
    expect(answer({ case: 'getKey', value: { participantIdentity, keyIndex: 2 } })?.key).toEqual(newKey);
  });

  test('list, switch and re-key the cryptors of tracks', async () => {
    expect(answer({ case: 'managerGetFrameCryptors', value: {} })?.frameCryptors).toEqual([]);
    const { source } = member.ffi.request({
      case: 'newAudioSource',
      value: { type: 0, sampleRate: 48_000, numChannels: 1 },
    })!;
    const { track } = member.ffi.request({
      case: 'createAudioTrack',
      value: { name: 'voice', sourceHandle: source!.handle!.id! },
    })!;
    const { localParticipantHandle } = member;
    member.ffi.request({
      case: 'publishTrack',
      value: { localParticipantHandle, trackHandle: track!.handle!.id!, options: {} },
    });
    const published = await member.ffi.waitFor('publishTrack');
    const sid =
      published.message.case === 'publication' ? published.message.value.info!.sid! : 'not published';
    const { publication } = await open.waitFor('trackPublished');
    expect(publication?.info?.encryptionType).toBe(1);
    const cryptor = { participantIdentity: 'member', trackSid: sid };
    const cryptors = () => answer({ case: 'managerGetFrameCryptors', value: {} })?.frameCryptors;
    await until('the track has a cryptor', () => (cryptors() as unknown[]).length === 1);
    expect(cryptors()).toMatchObject([{ ...cryptor, enabled: true }]);
    answer({ case: 'cryptorSetKeyIndex', value: { ...cryptor, keyIndex: 1 } });
    answer({ case: 'cryptorSetEnabled', value: { ...cryptor, enabled: false } });
    expect(cryptors()).toMatchObject([{ ...cryptor, keyIndex: 1, enabled: false }]);
    answer({ case: 'managerSetEnabled', value: { enabled: true } });
    expect(cryptors()).toMatchObject([{ ...cryptor, keyIndex: 1, enabled: true }]);
  });

  test('say so in a room that is not encrypted', () => {
    const cryptors = ask(open, { case: 'managerGetFrameCryptors', value: {} });
    expect(cryptors?.message.value.frameCryptors).toEqual([]);
    expect(() =>
      ask(open, { case: 'setSharedKey', value: { sharedKey: Buffer.from('key'), keyIndex: 0 } }),
    ).toThrow('without encryption');
  });
});

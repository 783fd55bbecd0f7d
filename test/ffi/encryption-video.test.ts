import { fileURLToPath } from 'node:url';
import {
  EncryptionState,
  EncryptionType,
  KeyDerivationFunction,
} from '@livekit/rtc-ffi-bindings/proto/e2ee_pb.js';
import { VideoStreamType } from '@livekit/rtc-ffi-bindings/proto/video_frame_pb.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { startServer } from '../../src/server/index.js';
import { startLivekitServer } from '../support/livekit-server.mjs';
import { describeWith } from '../support/parts.js';
import { type Engine, Program } from '../support/program.mjs';
import { makeToken } from '../support/token.mjs';
import { ProtocolRoom } from './protocol-room.js';

const script = fileURLToPath(new URL('../support/video-participant.mjs', import.meta.url));
const room = 'encrypted video';
const firstFrameMs = 20_000;
const testTimeoutMs = 60_000;

const keyDefaults = {
  ratchetWindowSize: 16,
  ratchetSalt: Buffer.from('LKFrameEncryptionKey'),
  failureTolerance: -1,
  keyRingSize: 16,
  keyDerivationFunction: KeyDerivationFunction.PBKDF2,
};

/** Opens a stream of the participant's first track: only what a stream asks for is decrypted. */
async function watch(viewer: ProtocolRoom, identity: string): Promise<void> {
  const { track } = await viewer.waitFor(
    'trackSubscribed',
    ({ participantIdentity }) => participantIdentity === identity,
  );
  viewer.ffi.request({
    case: 'newVideoStream',
    value: { trackHandle: track!.handle!.id!, type: VideoStreamType.VIDEO_STREAM_NATIVE },
  });
}

interface Seen {
  width: number;
  height: number;
  luma: [number, number, number, number];
}

const servers = {
  'livekit-server': startLivekitServer,
  'the room server': async () => {
    const server = await startServer({ port: 0 });
    return { url: server.url, apiKey: 'devkey', apiSecret: 'secret', stop: () => server.close() };
  },
};

for (const [name, start] of Object.entries(servers)) {
  describeWith(['livekit-server', 'native engine'], `encrypted video through ${name}`, () => {
    const programs: Program[] = [];
    let server: Awaited<ReturnType<typeof start>>;
    let native: Program;
    let ours: Program;
    let alsoOurs: Program;

    async function join(engine: Engine, identity: string, sharedKey = 'the key'): Promise<Program> {
      const program = new Program(script, { engine });
      programs.push(program);
      const token = await makeToken(server, room, identity);
      await program.call('connect', { url: server.url, token, sharedKey });
      return program;
    }

    /** Waits for frames whose unchanging quarters are as they were filmed: noise is not. */
    async function expectSeen(viewer: Program, identity: string, track: string): Promise<void> {
      await viewer.waitFor('firstFrame', { identity, name: track }, firstFrameMs);
      const frames: Seen[] = [];
      await expect
        .poll(
          async () => {
            frames.push(...(await viewer.call<{ frames: Seen[] }>('takeSeen', { identity })).frames);
            return frames.length;
          },
          { timeout: firstFrameMs },
        )
        .toBeGreaterThanOrEqual(20);
      for (const { width, height, luma } of frames) {
        expect([width, height]).toEqual([320, 180]);
        for (const [index, filmed] of [60, 120, 180].entries()) {
          expect(Math.abs((luma[index] as number) - filmed)).toBeLessThan(8);
        }
      }
      expect(new Set(frames.map(({ luma }) => luma[3])).size).toBeGreaterThan(5);
    }

    beforeAll(async () => {
      server = await start();
      native = await join('native', 'native');
      ours = await join('offhook', 'ours');
      alsoOurs = await join('offhook', 'also ours');
    });
    afterAll(async () => {
      await Promise.all(programs.map((program) => program.stop()));
      await server?.stop();
    });

    test.for([
      ['VP8', 0],
      ['VP9', 3],
      ['H264', 1],
    ] as const)(
      'that the native engine publishes as %s is seen',
      { timeout: testTimeoutMs },
      async ([codec, videoCodec]) => {
        const track = `native ${codec}`;
        await native.call('publishVideo', { name: track, publish: { videoCodec, simulcast: false } });
        await expectSeen(ours, 'native', track);
        await native.call('stopVideo', { name: track });
        await ours.waitFor('videoEnded', { identity: 'native', name: track });
      },
    );

    test.for([
      ['VP8', 0],
      ['H264', 1],
    ] as const)(
      'that we publish as %s is seen by the native engine and by us',
      { timeout: testTimeoutMs },
      async ([codec, videoCodec]) => {
        const track = `our ${codec}`;
        await ours.call('publishVideo', { name: track, publish: { videoCodec, simulcast: false } });
        await expectSeen(native, 'ours', track);
        await expectSeen(alsoOurs, 'ours', track);
        await ours.call('stopVideo', { name: track });
        await native.waitFor('trackUnsubscribed', { identity: 'ours', name: track });
      },
    );

    test(
      'with another key is a state and no picture, at both engines',
      async () => {
        const nativeStranger = await join('native', 'native stranger', 'another key');
        const ourStranger = await join('offhook', 'our stranger', 'another key');
        const protocolStranger = new ProtocolRoom();
        const keyProviderOptions = { sharedKey: Buffer.from('another key'), ...keyDefaults };
        await protocolStranger.connect({ server, room }, 'protocol stranger', {
          options: { encryption: { encryptionType: EncryptionType.GCM, keyProviderOptions } },
        });
        await ours.call('publishVideo', { name: 'secret', publish: { videoCodec: 0, simulcast: false } });
        await expectSeen(native, 'ours', 'secret');
        await watch(protocolStranger, 'ours');
        await protocolStranger.waitFor(
          'e2eeStateChanged',
          ({ participantIdentity, state }) =>
            participantIdentity === 'ours' && state === EncryptionState.DECRYPTION_FAILED,
        );
        await expectSeen(native, 'ours', 'secret');
        for (const { events } of [nativeStranger, ourStranger]) {
          expect(events.some(({ event }) => event === 'trackSubscribed')).toBe(true);
          expect(events.some(({ event }) => event === 'firstFrame')).toBe(false);
        }
        await protocolStranger.ffi.dispose();
        await ours.call('stopVideo', { name: 'secret' });
      },
      testTimeoutMs,
    );
  });
}

import { fileURLToPath } from 'node:url';
import { TrackSource } from '@livekit/rtc-ffi-bindings/proto/track_pb.js';
import { VideoStreamType } from '@livekit/rtc-ffi-bindings/proto/video_frame_pb.js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { describeWith } from '../support/parts.js';
import { type Engine, Program } from '../support/program.mjs';
import { makeToken } from '../support/token.mjs';
import { House } from './house.js';
import { ProtocolRoom } from './protocol-room.js';

const script = fileURLToPath(new URL('../support/video-participant.mjs', import.meta.url));

interface Seen {
  atMs: number;
  width: number;
  height: number;
  rotation: number;
  us: number;
  luma: [number, number, number, number];
}

/** The three quarters of a picture that never change, as they were filmed; a codec changes them a little. */
function expectQuarters({ luma }: Seen): void {
  for (const [index, expected] of [60, 120, 180].entries()) {
    expect(Math.abs((luma[index] as number) - expected)).toBeLessThan(8);
  }
}

describeWith(['livekit-server', 'native engine'], 'video between the engines', () => {
  const house = new House();
  const programs: Program[] = [];

  async function join(
    engine: Engine,
    identity: string,
    more: Record<string, unknown> = {},
  ): Promise<Program> {
    const program = new Program(script, { engine });
    programs.push(program);
    const token = await makeToken(house.server, house.room, identity);
    await program.call('connect', { url: house.server.url, token, ...more });
    return program;
  }

  async function seen(program: Program, identity: string, atLeast: number): Promise<Seen[]> {
    const frames: Seen[] = [];
    await expect
      .poll(
        async () => {
          frames.push(...(await program.call<{ frames: Seen[] }>('takeSeen', { identity })).frames);
          return frames.length;
        },
        { timeout: 20_000 },
      )
      .toBeGreaterThanOrEqual(atLeast);
    return frames;
  }

  let native: Program;
  let ours: Program;
  beforeAll(async () => {
    native = await join('native', 'native');
    ours = await join('offhook', 'ours');
  });
  afterAll(() => Promise.all(programs.map((program) => program.stop())));

  test.for([
    ['VP8', 0],
    ['VP9', 3],
    ['H264', 1],
    ['AV1', 2],
  ] as const)(
    'that the native engine publishes as %s is seen, in order and whole',
    async ([name, videoCodec]) => {
      await native.call('publishVideo', { name, publish: { videoCodec, simulcast: false } });
      await ours.waitFor('firstFrame', { identity: 'native', name }, 20_000);
      const frames = await seen(ours, 'native', 20);
      for (const frame of frames) {
        expect(frame).toMatchObject({ width: 320, height: 180, rotation: 0 });
        expectQuarters(frame);
      }
      const times = frames.map(({ us }) => us);
      expect(times).toEqual([...times].sort((a, b) => a - b));
      expect(new Set(frames.map(({ luma }) => luma[3])).size).toBeGreaterThan(5);
      const { decoded } = await ours.call<{ decoded: number[] }>('countFrames');
      expect(Math.max(...decoded)).toBeGreaterThanOrEqual(frames.length);
      await native.call('stopVideo', { name });
      await ours.waitFor('videoEnded', { identity: 'native', name });
    },
  );

  test.for([
    ['H264', 1, undefined],
    ['VP8', 0, undefined],
    // No encoder makes these: it is sent as H.264.
    ['VP9 in layers of one stream', 3, 'L3T3_KEY'],
  ] as const)(
    'that we publish as %s is seen, in order and whole',
    async ([codec, videoCodec, scalabilityMode]) => {
      const name = `our ${codec}`;
      await ours.call('publishVideo', { name, publish: { videoCodec, scalabilityMode, simulcast: false } });
      await native.waitFor('firstFrame', { identity: 'ours', name }, 20_000);
      const frames = await seen(native, 'ours', 20);
      for (const frame of frames) {
        expect(frame).toMatchObject({ width: 320, height: 180, rotation: 0 });
        expectQuarters(frame);
      }
      expect(new Set(frames.map(({ luma }) => luma[3])).size).toBeGreaterThan(5);
      const { sent } = await ours.call<{ sent: number[] }>('countFrames');
      expect(Math.max(...sent)).toBeGreaterThanOrEqual(frames.length);
      await ours.call('stopVideo', { name });
      await native.waitFor('trackUnsubscribed', { identity: 'ours', name });
    },
  );

  test('of a participant is seen through a stream of the participant', async () => {
    await native.call('publishVideo', { name: 'second', publish: { videoCodec: 0, simulcast: false } });
    const room = new ProtocolRoom();
    await room.connect(house, 'protocol');
    const { stream } = room.ffi.request({
      case: 'videoStreamFromParticipant',
      value: {
        participantHandle: room.participants.get('native')!,
        type: VideoStreamType.VIDEO_STREAM_NATIVE,
        trackSource: TrackSource.SOURCE_CAMERA,
      },
    });
    const streamHandle = stream!.handle!.id!;
    const { message } = await room.ffi.waitFor(
      'videoStreamEvent',
      (event) => event.streamHandle === streamHandle,
    );
    expect(message.case).toBe('frameReceived');
    room.ffi.drop(streamHandle);
    await room.ffi.waitFor(
      'videoStreamEvent',
      (event) => event.streamHandle === streamHandle && event.message.case === 'eos',
    );
    await room.ffi.dispose();
    await native.call('stopVideo', { name: 'second' });
  });
});

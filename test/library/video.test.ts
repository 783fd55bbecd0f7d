import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RemoteTrack, Room, VideoFormat, VideoFrame } from '../../src/index.js';
import { House } from '../ffi/house.js';
import { describeWith } from '../support/parts.js';
import { Program } from '../support/program.mjs';
import { makeToken } from '../support/token.mjs';
import { offhook } from './engine-of-the-package.js';

const script = fileURLToPath(new URL('../support/video-participant.mjs', import.meta.url));
const [width, height] = [320, 180];
type VideoTrack = InstanceType<typeof offhook.RemoteVideoTrack>;

/** Three quarters that stay, 60, 120 and 180 as the native participant films them, and one that changes. */
function quarters(count: number): VideoFrame {
  const data = new Uint8Array(width * height * 1.5).fill(128);
  const lumas = [60, 120, 180, 40 + ((count * 8) % 160)];
  for (let y = 0; y < height; y++) {
    const row = y * width;
    const lower = y >= height / 2 ? 2 : 0;
    data.fill(lumas[lower]!, row, row + width / 2).fill(lumas[lower + 1]!, row + width / 2, row + width);
  }
  return { data, format: 'i420', width, height };
}

async function film(
  source: InstanceType<typeof offhook.VideoSource>,
  signal: AbortSignal,
  frame: (count: number) => VideoFrame = quarters,
): Promise<void> {
  for (let count = 0; !signal.aborted; count++) {
    source.captureFrame(frame(count));
    await new Promise((resolve) => setTimeout(resolve, 66));
  }
}

/** Luma in the middle of the upper two quarters and of the lower left one. */
function lumaOf(frame: VideoFrame): number[] {
  const { data } = offhook.convertVideoFrame(frame, 'i420');
  const at = (x: number, y: number) =>
    data[Math.floor(y * frame.height) * frame.width + Math.floor(x * frame.width)]!;
  return [at(0.25, 0.25), at(0.75, 0.25), at(0.25, 0.75)];
}

function expectQuarters(luma: readonly number[]): void {
  for (const [index, expected] of [60, 120, 180].entries()) {
    expect(Math.abs(luma[index]! - expected)).toBeLessThan(10);
  }
}

describeWith(['livekit-server', 'native engine'], 'video of the library', () => {
  const house = new House();
  const programs: Program[] = [];
  const rooms: Room[] = [];

  async function joinNative(identity: string): Promise<Program> {
    const program = new Program(script, { engine: 'native' });
    programs.push(program);
    await program.call('connect', {
      url: house.server.url,
      token: await makeToken(house.server, house.room, identity),
    });
    return program;
  }

  async function join(identity: string, prepare: (room: Room) => void = () => {}): Promise<Room> {
    const room = new offhook.Room({ name: identity });
    rooms.push(room);
    prepare(room);
    await room.connect(house.server.url, await makeToken(house.server, house.room, identity));
    return room;
  }

  const videoOf = (room: Room, name: string): Promise<VideoTrack> =>
    new Promise((resolve) => {
      room.on(
        'trackSubscribed',
        ({ track, publication }: { track: RemoteTrack; publication: { name: string } }) => {
          if (track instanceof offhook.RemoteVideoTrack && publication.name === name) resolve(track);
        },
      );
    });

  let native: Program;
  let ada: Room;
  beforeAll(async () => {
    native = await joinNative('native');
    ada = await join('ada');
  });
  afterAll(async () => {
    await Promise.all(rooms.map((room) => room.disconnect()));
    await Promise.all(programs.map((program) => program.stop()));
  });

  test.for([
    ['h264', false],
    // Of another codec than the track before it, and of the one before that.
    ['vp8', false],
    ['h264', true],
  ] as const)('as %s is seen by the native engine (simulcast: %s)', async ([codec, simulcast]) => {
    using source = new offhook.VideoSource({ width, height });
    const name = `${codec} ${simulcast}`;
    const publication = await ada.localParticipant.publishVideo(source, {
      name,
      codec,
      simulcast,
      bitrateBps: 400_000,
      framesPerSecond: 15,
    });
    expect(publication).toMatchObject({ kind: 'video', source: 'camera', name });
    expect(publication.info).toMatchObject({ width, height });
    const filming = new AbortController();
    const filmed = film(source, filming.signal);
    const seen = await native.waitFor('firstFrame', { identity: 'ada', name }, 20_000);
    expectQuarters(seen.luma as number[]);
    filming.abort();
    await filmed;
    await ada.localParticipant.unpublish(publication.sid);
    await native.waitFor('trackUnsubscribed', { identity: 'ada', name });
  });

  test.for(['rgba', 'i420', 'nv12'] satisfies VideoFormat[])(
    'of the native engine is read as %s until the track ends',
    async (format) => {
      const name = `native ${format}`;
      const subscribed = videoOf(ada, name);
      await native.call('publishVideo', { name });
      const track = await subscribed;
      let previousUs = Number.NEGATIVE_INFINITY;
      let count = 0;
      for await (const frame of track.frames({ format })) {
        // When a track ends, the server sends black pictures of its own.
        if (count >= 10) continue;
        expect(frame).toMatchObject({ format, width, height, rotation: 0 });
        expectQuarters(lumaOf(frame));
        expect(frame.timestampUs).toBeGreaterThan(previousUs);
        previousUs = frame.timestampUs!;
        if (++count === 10) await native.call('stopVideo', { name });
      }
      expect(count).toBe(10);
    },
  );

  test('arrives in the colours that were captured', async () => {
    const bob = await join('bob');
    const subscribed = videoOf(bob, 'colours');
    using source = new offhook.VideoSource({ width, height });
    const filming = new AbortController();
    const red = new Uint8Array(width * height * 4);
    for (let at = 0; at < red.length; at += 4) red.set([200, 40, 60, 255], at);
    const filmed = film(source, filming.signal, () => ({ data: red, format: 'rgba', width, height }));
    const track = new offhook.LocalVideoTrack('colours', source);
    const publication = await ada.localParticipant.publishTrack(track, { simulcast: false });
    expect(publication.track).toBe(track);
    for await (const { data } of (await subscribed).frames({ format: 'bgra' })) {
      const middle = 4 * (width * (height / 2) + width / 2);
      for (const [index, expected] of [60, 40, 200, 255].entries()) {
        expect(Math.abs(data[middle + index]! - expected)).toBeLessThan(12);
      }
      break;
    }
    const muted = new Promise<string>((resolve) => {
      bob.once('trackMuted', ({ publication: { name } }) => resolve(name));
    });
    publication.setMuted(true);
    expect(await muted).toBe('colours');
    filming.abort();
    await filmed;
    await bob.disconnect();
  });

  test('gives a program that is slow the newest frames, and counts those that it missed', async () => {
    const subscribed = videoOf(ada, 'slow');
    await native.call('publishVideo', { name: 'slow', fps: 30 });
    using stream = (await subscribed).openStream();
    const frames = stream[Symbol.asyncIterator]();
    const first = (await frames.next()).value as VideoFrame;
    await expect.poll(() => stream.droppedFrames, { timeout: 10_000 }).toBeGreaterThan(10);
    const second = (await frames.next()).value as VideoFrame;
    // Frames are 33 ms apart: what waited was not the one after the first.
    expect(second.timestampUs! - first.timestampUs!).toBeGreaterThan(10 * 33_000);
    await frames.return();
    await native.call('stopVideo', { name: 'slow' });
  });

  test('is refused with a reason when an argument is wrong', async () => {
    const { VideoSource, convertVideoFrame } = offhook;
    expect(() => new VideoSource({ width: 0, height: 9 })).toThrow(/width is 0/);
    using source = new VideoSource({ width, height });
    const frame = quarters(0);
    expect(() => source.captureFrame({ ...frame, data: new Uint8Array(3) })).toThrow(
      /3 bytes are not a picture of 320 x 180 pixels as i420/,
    );
    expect(() => source.captureFrame({ ...frame, format: 'yuv' as 'i420' })).toThrow(/format is "yuv"/);
    expect(() => convertVideoFrame(frame, 'jpeg' as 'i420')).toThrow(/format is "jpeg"/);
    const publish = (options: object) => ada.localParticipant.publishVideo(source, options);
    await expect(publish({ bitrate: 1 })).rejects.toThrow(/no option "bitrate"/);
    await expect(publish({ codec: 'h265' })).rejects.toThrow(/codec is "h265"/);
    await expect(publish({ source: 'microphone' })).rejects.toThrow(/source is "microphone"/);
    source.close();
    expect(() => source.captureFrame(frame)).toThrow(expect.objectContaining({ code: 'OFFHOOK_CLOSED' }));
  });
});
